"""Lines to tokens: every line's utterances through one continuous batch, handed on as soon as a line is whole.

Says an utterance several times where candidates are asked for, and again, with the next seed, where it did not end or
does not say its text. Knows no files and no sound.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.noise import retry_seed
from spear_accel.decoding.read_back import CoverageGuard, Reading, look_back, read_back
from spear_accel.decoding.stats import Finished
from spear_accel.errors import UserError
from spear_accel.pipeline import Voice
from spear_accel.synth.lines import Line
from spear_accel.synth.quality import Attempt, best, failure
from spear_accel.text.utterances import PlannedUtterance

__all__ = ["SpeakOptions", "Spoken", "speak_lines"]

_RETRY_STEP = 1000
"""Between the seeds of a job's own attempts, far from those that decoding takes after a loop."""


@dataclass(frozen=True)
class SpeakOptions:
    """How lines are said. All of it but the batch size of `decode` decides the tokens."""

    decode: DecodeOptions
    retries: int = 2
    """How often an utterance is tried again, with the next seed, where no attempt is good."""
    candidates: int = 1
    """Seeds that every utterance is decoded with; the best is kept."""
    coverage: bool = True
    """Whether an attempt that skips or repeats words of its text is tried again."""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise UserError(f"retries must be 0 or more, got {self.retries}")
        if self.candidates < 1:
            raise UserError(f"candidates must be 1 or more, got {self.candidates}")


@dataclass
class Spoken:
    """A line on its way: its utterances and what was said of each."""

    line: Line
    planned: list[PlannedUtterance] = field(default_factory=list)
    tokens: dict[int, Tensor] = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)
    """Seeds, by utterance."""
    readings: dict[int, Reading] = field(default_factory=dict)
    """By utterance, of what is kept; empty where nobody asked for them."""
    retries: int = 0
    """Attempts of this run beyond the candidates, of all utterances."""
    attempts: int = 0
    """Seeds that the line has used up so far, those of earlier runs included."""
    fault: str | None = None
    """Why the line cannot be made."""
    warnings: list[str] = field(default_factory=list)
    """What is doubtful about what was kept."""

    @property
    def text(self) -> str:
        """As it was read."""
        return " ".join(one.text for one in self.planned)

    @property
    def whole(self) -> bool:
        return len(self.tokens) == len(self.planned)

    @property
    def seeds(self) -> list[int]:
        return [self.used[place] for place in range(len(self.planned))]

    @property
    def said(self) -> list[Tensor]:
        return [self.tokens[place] for place in range(len(self.planned))]


class _Utterance:
    """One utterance and its attempts of this run."""

    def __init__(self, text: str, ids: list[int], seed: int, tried: int) -> None:
        """seed: of the first attempt; tried: attempts of earlier runs."""
        self.text, self.ids, self.first_seed, self.tried = text, ids, seed, tried
        self.attempts: list[Attempt] = []
        self.settled = False
        self._begun = 0

    def begin(self, count: int) -> list[_Request]:
        """The next `count` attempts, each with a seed of its own."""
        first = self.tried + self._begun
        self._begun += count
        return [_Request(self, number) for number in range(first, first + count)]

    @property
    def pending(self) -> bool:
        return len(self.attempts) < self._begun


@dataclass(frozen=True)
class _Request:
    utterance: _Utterance
    number: int

    @property
    def seed(self) -> int:
        first = self.utterance.first_seed
        return first if not self.number else retry_seed(first, _RETRY_STEP * self.number)


def speak_lines(
    voice: Voice, lines: Sequence[Line], options: SpeakOptions, tried: Mapping[str, int]
) -> Generator[Spoken, None, None]:
    """Each line once, whole or with its fault, in the order in which they are ready.

    What a line comes to depends on voice, options, text, seed and what was tried, not on the lines beside it.
    tried: attempts of earlier runs by id; a line goes on with the seeds behind them.
    """
    guard = CoverageGuard() if options.coverage else None
    requests: list[_Request] = []
    parts: dict[_Utterance, tuple[Spoken, list[_Utterance]]] = {}
    for line in lines:
        spoken = Spoken(line)
        try:
            utterances = _planned(voice, spoken, options, tried.get(line.id, 0))
        except UserError as error:
            spoken.fault = str(error)
            yield spoken
            continue
        parts.update((one, (spoken, utterances)) for one in utterances)
        requests += [request for one in utterances for request in one.begin(options.candidates)]
    while requests:
        again: list[_Request] = []
        ids, seeds = [request.utterance.ids for request in requests], [request.seed for request in requests]
        for finished in voice.decode_each(ids, options.decode, seeds):
            utterance = requests[finished.index].utterance
            utterance.attempts.append(_judged(voice, requests[finished.index], finished, options, guard))
            if utterance.pending:
                continue
            if _is_doubtful(utterance) and len(utterance.attempts) < options.candidates + options.retries:
                again += utterance.begin(1)
                continue
            utterance.settled = True
            spoken, utterances = parts[utterance]
            # All of them, even where one has failed: which is ready first depends on the other lines.
            if all(one.settled for one in utterances):
                _gather(spoken, utterances, options)
                yield spoken
        requests = again


def _planned(voice: Voice, spoken: Spoken, options: SpeakOptions, tried: int) -> list[_Utterance]:
    """The utterances of a line. Raises UserError: nothing in it can be read aloud."""
    spoken.planned = voice.plan(spoken.line.text)
    seed = options.decode.seed if spoken.line.seed is None else spoken.line.seed
    return [_Utterance(one.text, voice.tokenizer.encode(one.text), seed, tried) for one in spoken.planned]


def _judged(
    voice: Voice, request: _Request, finished: Finished, options: SpeakOptions, guard: CoverageGuard | None
) -> Attempt:
    """Read back only where somebody asks, and whole only where candidates are told apart by their probability."""
    why = failure(finished)
    attempt = Attempt(request.number, finished.tokens, finished.seed, why)
    if why is not None or (guard is None and options.candidates == 1):
        return attempt
    read = look_back if options.candidates == 1 else read_back
    reading = read(voice.model, request.utterance.ids, finished.tokens)
    return replace(attempt, reading=reading, doubt=None if guard is None else guard.fault(reading))


def _is_doubtful(utterance: _Utterance) -> bool:
    return not any(attempt.good for attempt in utterance.attempts)


def _gather(spoken: Spoken, utterances: Sequence[_Utterance], options: SpeakOptions) -> None:
    """Put what is kept of each utterance, or the first fault, into a line that is ready."""
    for place, utterance in enumerate(utterances):
        tries = len(utterance.attempts)
        spoken.retries += tries - options.candidates
        spoken.attempts = max(spoken.attempts, utterance.tried + tries)
        kept, where = best(utterance.attempts), f"in {utterance.text[:60]!r}, {tries - options.candidates} retries"
        if kept is None:
            last = max(utterance.attempts, key=lambda attempt: attempt.number)
            spoken.fault = spoken.fault or f"{last.failure} {where}"
            continue
        spoken.tokens[place], spoken.used[place] = kept.tokens, kept.seed
        if kept.reading is not None:
            spoken.readings[place] = kept.reading
        if kept.doubt is not None:
            spoken.warnings.append(f"{kept.doubt} {where}")
