"""Lines to tokens: feeds the utterances of many lines to the engine as one batch without end.

Decodes an utterance several times if candidates are asked for, and again, with the next seed, if it did not end or does
not say its text. Knows no files and no sound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from spear_accel.alignment.attention import CoverageGuard, align, score
from spear_accel.decoding import DecodeOptions, Request, RequestOutput
from spear_accel.errors import UserError
from spear_accel.synth.line_job import LineJob
from spear_accel.voice.attempts import Attempt, UtteranceJob
from spear_accel.voice.voice import Voice

__all__ = ["LineOptions", "LineScheduler", "decode_lines"]


@dataclass(frozen=True)
class LineOptions:
    """How lines are decoded. Everything but the batch size of `decode` decides the tokens."""

    decode: DecodeOptions
    retries: int = 2
    """How often an utterance is decoded again, with the next seed, while no attempt is good."""
    candidates: int = 1
    """Attempts at each utterance, each with a seed of its own; the best is kept."""
    coverage: bool = True
    """Whether an attempt that skips or repeats words of its text counts as not good."""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise UserError(f"retries must be 0 or more, got {self.retries}")
        if self.candidates < 1:
            raise UserError(f"candidates must be 1 or more, got {self.candidates}")


def decode_lines(voice: Voice, jobs: Iterable[LineJob], options: LineOptions) -> Generator[LineJob, None, None]:
    """Decodes lines; each comes back once, whole or with its fault, in the order in which lines finish.

    A line's tokens are independent of the other lines: they depend on voice, options, text, seed and previous attempts.

    Args:
        voice: Speaks all of them.
        jobs: Asked for the next line whenever a row of the batch is free, so they may be without end.
        options: How to decode.
    """
    scheduler = LineScheduler(voice, jobs, options)
    for output in voice.decode_requests(scheduler.next_request, options.decode):
        scheduler.take(output)
        yield from scheduler.finished()
    yield from scheduler.finished()


class LineScheduler:
    """Lines that are being decoded: gives the engine its next request and takes what comes of each."""

    def __init__(self, voice: Voice, jobs: Iterable[LineJob], options: LineOptions) -> None:
        self._voice, self._options = voice, options
        self._guard = CoverageGuard() if options.coverage else None
        self._jobs = iter(jobs)
        self._waiting: deque[tuple[LineJob, UtteranceJob, Attempt]] = deque()
        self._running: dict[int, tuple[LineJob, UtteranceJob, Attempt]] = {}
        """By the number of the request, in the order of asking."""
        self._numbers = count()
        self._finished: deque[LineJob] = deque()

    def next_request(self) -> Request | None:
        """Returns a retry if one waits, else an attempt of the next line.

        None if there is nothing to decode at present. Attempts that are being decoded may bring retries later.
        """
        while not self._waiting:
            if (job := next(self._jobs, None)) is None:
                return None
            self._start(job)
        started = self._waiting.popleft()
        self._running[next(self._numbers)] = started
        _, utterance, attempt = started
        return Request(utterance.text_ids, text_length=len(utterance.text), seed=attempt.seed)

    def take(self, output: RequestOutput) -> None:
        """Takes the finished output of a request, and decides whether its utterance is decoded again."""
        assert output.result is not None
        job, utterance, attempt = self._running.pop(output.index)
        attempt.finish(output.result)
        self._score(utterance, attempt)
        if not utterance.finished:
            return
        if utterance.retries < self._options.retries and not any(one.good for one in utterance.attempts):
            self._waiting.append((job, utterance, utterance.retry()))
        # Other utterances are decoded to their end even if this one failed: which finishes first depends on the lines
        # beside them.
        elif job.finished:
            self._finished.append(job)

    def finished(self) -> Iterator[LineJob]:
        """Yields the lines that finished since the last call."""
        while self._finished:
            yield self._finished.popleft()

    def _start(self, job: LineJob) -> None:
        try:
            planned = self._voice.plan(job.line.said)
        except UserError as error:
            job.refusal = str(error)
            self._finished.append(job)
            return
        seed = self._options.decode.seed if job.line.seed is None else job.line.seed
        encode = self._voice.tokenizer.encode
        job.utterances = [UtteranceJob(one, encode(one.text), seed, job.previous_attempts) for one in planned]
        for utterance in job.utterances:
            self._waiting += [(job, utterance, attempt) for attempt in utterance.start(self._options.candidates)]

    def _score(self, utterance: UtteranceJob, attempt: Attempt) -> None:
        """Scores an attempt if the options ask for it; by its probability too if it competes with other candidates."""
        several = self._options.candidates > 1
        if attempt.tokens is None or attempt.failure is not None or (self._guard is None and not several):
            return
        attempt.score = (score if several else align)(self._voice.model, utterance.text_ids, attempt.tokens)
        attempt.doubt = None if self._guard is None else self._guard.fault(attempt.score)
