"""Lines to tokens: every line's utterances through one batch without end, handed on as soon as a line is whole.

Says an utterance several times where candidates are asked for, and again, with the next seed, where it did not end or
does not say its text. Knows no files and no sound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from torch import Tensor

from spear_accel.alignment.attention import CoverageGuard, Reading, look_back, read_back
from spear_accel.decoding import DecodeOptions, Request, RequestOutput, RequestResult
from spear_accel.decoding.noise import retry_seed
from spear_accel.errors import UserError
from spear_accel.synth.lines import Line
from spear_accel.synth.quality import Attempt, best, failure
from spear_accel.text.plan import PlannedUtterance
from spear_accel.voice.voice import Voice

__all__ = ["SpeakOptions", "Spoken", "Wanted", "speak_lines"]

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


@dataclass(frozen=True)
class Wanted:
    """A line to be spoken."""

    line: Line
    tried: int = 0
    """Attempts of earlier runs, in which it failed; it goes on with the seeds behind them."""


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
    """One utterance of a line and its attempts of this run."""

    def __init__(self, spoken: Spoken, text: str, ids: list[int], seed: int, tried: int) -> None:
        """seed: of the first attempt; tried: attempts of earlier runs."""
        self.spoken, self.text, self.ids, self.first_seed, self.tried = spoken, text, ids, seed, tried
        self.attempts: list[Attempt] = []
        self.beside: list[_Utterance] = []
        """All utterances of the line, in order."""
        self.settled = False
        self._begun = 0

    def begin(self, attempts: int) -> list[_Attempt]:
        """So many more attempts, each with a seed of its own."""
        first = self.tried + self._begun
        self._begun += attempts
        return [_Attempt(self, number) for number in range(first, first + attempts)]

    @property
    def pending(self) -> bool:
        return len(self.attempts) < self._begun


@dataclass(frozen=True)
class _Attempt:
    """One that is still to come."""

    utterance: _Utterance
    number: int

    @property
    def seed(self) -> int:
        first = self.utterance.first_seed
        return first if not self.number else retry_seed(first, _RETRY_STEP * self.number)


def speak_lines(voice: Voice, wanted: Iterable[Wanted], options: SpeakOptions) -> Generator[Spoken, None, None]:
    """Each line once, whole or with its fault, in the order in which they are ready.

    What a line comes to depends on voice, options, text, seed and what was tried, not on the lines beside it.
    wanted: asked for the next line whenever a row of the batch is free, so it may be without end.
    """
    conversation = _Conversation(voice, wanted, options)
    for output in voice.decode_requests(conversation.next_request, options.decode):
        conversation.take(output)
        yield from conversation.ready()
    yield from conversation.ready()


class _Conversation:
    """Lines that are being spoken: what to ask for next, and what has come."""

    def __init__(self, voice: Voice, wanted: Iterable[Wanted], options: SpeakOptions) -> None:
        self.voice, self.options = voice, options
        self._guard = CoverageGuard() if options.coverage else None
        self._wanted = iter(wanted)
        self._waiting: deque[_Attempt] = deque()
        self._asked: dict[int, _Attempt] = {}
        self._numbers = count()
        self._ready: deque[Spoken] = deque()

    def next_request(self) -> Request | None:
        """Retries first, then the next line. None: nothing at present, for what is still decoded may be tried again."""
        while not self._waiting:
            if (wanted := next(self._wanted, None)) is None:
                return None
            self._begin(wanted)
        attempt = self._waiting.popleft()
        self._asked[next(self._numbers)] = attempt
        return Request(attempt.utterance.ids, text_length=len(attempt.utterance.text), seed=attempt.seed)

    def take(self, output: RequestOutput) -> None:
        """The outcome of a request, named by the order of asking."""
        assert output.result is not None
        attempt = self._asked.pop(output.index)
        utterance = attempt.utterance
        utterance.attempts.append(_judged(self.voice, attempt, output.result, self.options, self._guard))
        if utterance.pending:
            return
        tries = len(utterance.attempts)
        if _is_doubtful(utterance) and tries < self.options.candidates + self.options.retries:
            self._waiting.extend(utterance.begin(1))
            return
        utterance.settled = True
        # All of them, even where one has failed: which is ready first depends on the other lines.
        if all(one.settled for one in utterance.beside):
            _gather(utterance.spoken, utterance.beside, self.options)
            self._ready.append(utterance.spoken)

    def ready(self) -> Iterator[Spoken]:
        """Lines that came to their end since the last call."""
        while self._ready:
            yield self._ready.popleft()

    def _begin(self, wanted: Wanted) -> None:
        spoken = Spoken(wanted.line)
        try:
            utterances = _planned(self.voice, spoken, self.options, wanted.tried)
        except UserError as error:
            spoken.fault = str(error)
            self._ready.append(spoken)
            return
        for one in utterances:
            one.beside = utterances
            self._waiting.extend(one.begin(self.options.candidates))


def _planned(voice: Voice, spoken: Spoken, options: SpeakOptions, tried: int) -> list[_Utterance]:
    """The utterances of a line. Raises UserError: nothing in it can be read aloud."""
    spoken.planned = voice.plan(spoken.line.text)
    seed = options.decode.seed if spoken.line.seed is None else spoken.line.seed
    return [_Utterance(spoken, one.text, voice.tokenizer.encode(one.text), seed, tried) for one in spoken.planned]


def _judged(
    voice: Voice, begun: _Attempt, finished: RequestResult, options: SpeakOptions, guard: CoverageGuard | None
) -> Attempt:
    """Read back only where somebody asks, and whole only where candidates are told apart by their probability."""
    why = failure(finished)
    attempt = Attempt(begun.number, finished.tokens, finished.seed, why)
    if why is not None or (guard is None and options.candidates == 1):
        return attempt
    read = look_back if options.candidates == 1 else read_back
    reading = read(voice.model, begun.utterance.ids, finished.tokens)
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
