"""Lines to tokens: every line's utterances through one continuous batch, handed on as soon as a line is whole.

Tries a line's utterance again, with the next seed, where it did not end. Knows no files and no sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.noise import retry_seed
from spear_accel.decoding.stats import Finished
from spear_accel.errors import UserError
from spear_accel.pipeline import Voice
from spear_accel.synth.lines import Line
from spear_accel.text.utterances import PlannedUtterance

__all__ = ["Spoken", "speak_lines"]

_RETRY_STEP = 1000
"""Between the seeds of a job's own retries, far from those that decoding takes after a loop."""


@dataclass
class Spoken:
    """A line on its way: its utterances and what was said of each."""

    line: Line
    planned: list[PlannedUtterance] = field(default_factory=list)
    tokens: dict[int, Tensor] = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)
    """Seeds, by utterance."""
    retries: int = 0
    attempts: int = 0
    """Made so far, those of earlier runs included."""
    fault: str | None = None
    """Why the line cannot be made."""

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


@dataclass(frozen=True)
class _Request:
    spoken: Spoken
    place: int
    ids: list[int]
    attempt: int = 0

    def seed(self, options: DecodeOptions) -> int:
        given = options.seed if self.spoken.line.seed is None else self.spoken.line.seed
        return given if not self.attempt else retry_seed(given, _RETRY_STEP * self.attempt)


def speak_lines(
    voice: Voice, lines: Sequence[Line], options: DecodeOptions, retries: int, tried: Mapping[str, int]
) -> Iterator[Spoken]:
    """Each line once, whole or with its fault, in the order in which they are ready.

    tried: attempts of earlier runs by id; a line goes on with the seeds behind them.
    """
    requests: list[_Request] = []
    for line in lines:
        spoken = Spoken(line)
        try:
            spoken.planned = voice.plan(line.text)
            requests += [
                _Request(spoken, place, voice.tokenizer.encode(one.text), tried.get(line.id, 0))
                for place, one in enumerate(spoken.planned)
            ]  # fmt: skip
        except UserError as error:
            spoken.fault = str(error)
            yield spoken
    while requests:
        again: list[_Request] = []
        seeds = [request.seed(options) for request in requests]
        for finished in voice.decode_each([request.ids for request in requests], options, seeds):
            request = requests[finished.index]
            spoken = request.spoken
            if spoken.fault is not None:
                continue
            spoken.attempts = max(spoken.attempts, request.attempt + 1)
            if _is_good(finished):
                spoken.tokens[request.place], spoken.used[request.place] = finished.tokens, finished.seed
            elif request.attempt - tried.get(spoken.line.id, 0) < retries:
                spoken.retries += 1
                again.append(replace(request, attempt=request.attempt + 1))
                continue
            else:
                spoken.fault = f"{_why(finished)} in {spoken.planned[request.place].text[:60]!r}, {retries} retries"
            if spoken.whole or spoken.fault is not None:
                yield spoken
        requests = again


def _is_good(finished: Finished) -> bool:
    return finished.stop_reason == "eos" and len(finished.tokens) > 0


def _why(finished: Finished) -> str:
    return finished.stop_reason if len(finished.tokens) else "nothing was said"
