"""A line on its way: its utterances, and what is kept of each. Knows no engine and no files."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from spear_accel.synth.lines import Line
from spear_accel.voice.attempts import Attempt, UtteranceJob

__all__ = ["LineJob"]


@dataclass
class LineJob:
    """A line from the input file to its tokens."""

    line: Line
    voice: str
    """Name of the voice that speaks the line."""
    previous_attempts: int = 0
    """Attempts of earlier runs, in which the line failed; this run goes on with the seeds behind them."""
    utterances: list[UtteranceJob] = field(default_factory=list)
    """Empty until the line is planned, and if nothing in it can be read aloud."""
    refusal: str | None = None
    """Why nothing in the line can be read aloud."""

    @property
    def finished(self) -> bool:
        """Whether no attempt is waiting or being decoded."""
        return all(utterance.finished for utterance in self.utterances)

    @property
    def fault(self) -> str | None:
        """Why the line cannot be made: nothing in it can be read, or all attempts at an utterance failed."""
        failed = (utterance for utterance in self.utterances if utterance.best is None)
        return next((one.describe(str(one.attempts[-1].failure)) for one in failed), self.refusal)

    @property
    def warnings(self) -> list[str]:
        """What was left out of the text, and what is doubtful about the attempts that are kept."""
        kept = ((utterance, utterance.best) for utterance in self.utterances)
        doubts = [utterance.describe(best.doubt) for utterance, best in kept if best is not None and best.doubt]
        return [note for utterance in self.utterances for note in utterance.planned.warnings] + doubts

    @property
    def kept(self) -> list[Attempt]:
        """The best attempt at each utterance that has one."""
        return [best for utterance in self.utterances if (best := utterance.best) is not None]

    @property
    def tokens(self) -> list[Tensor]:
        """int64 [n] of each utterance that has a best attempt."""
        return [attempt.tokens for attempt in self.kept if attempt.tokens is not None]

    @property
    def normalized_text(self) -> str:
        """The text as it was read."""
        return " ".join(utterance.text for utterance in self.utterances)

    @property
    def retries(self) -> int:
        """Summed over the utterances."""
        return sum(utterance.retries for utterance in self.utterances)

    @property
    def attempts(self) -> int:
        """Seeds that the line has used up, those of earlier runs included; 0 if nothing in it can be read aloud."""
        used = (utterance.previous_attempts + len(utterance.attempts) for utterance in self.utterances)
        return max(used, default=0)
