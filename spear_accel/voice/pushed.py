"""Speech of an utterance whose tokens are handed in as they come, for whoever serves many at a time.

`streaming` asks for tokens and waits; here nothing waits, so that one thread can sound the utterances of many callers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spear_accel.acoustic import AcousticStage
from spear_accel.decoding import RequestOutput
from spear_accel.text.plan import PlannedUtterance
from spear_accel.voice.pieces import Doubts, Pieces, Times, sound_of
from spear_accel.voice.speech import Speech

__all__ = ["PushedUtterance"]


class PushedUtterance:
    """One utterance: outputs of its request in, pieces of speech out.

    Stages of other packages that only `stream` sound an utterance once it has ended.
    """

    def __init__(
        self,
        planned: PlannedUtterance,
        stage: AcousticStage,
        speed: float,
        samples: int,
        times: Times | None = None,
        doubts: Doubts | None = None,
    ) -> None:
        """As `Pieces`."""
        self._pieces = Pieces(planned, stage, speed, samples, times, doubts)
        self._grow: Callable[[Tensor, bool], Tensor | None] | None = None
        self._held: list[Tensor] = []
        """Tokens that were taken in and did not sound."""

    @property
    def samples(self) -> int:
        """Samples made so far, those of earlier utterances included."""
        return self._pieces.samples

    def push(self, output: RequestOutput) -> Speech | None:
        """What sounds by now, None if nothing new does; the last piece comes with the end of the request."""
        pieces, stage = self._pieces, self._pieces.stage
        pieces.take(output.new_tokens)
        self._held.append(output.new_tokens)
        if self._grow is None and output.result is not None:
            return pieces.last(sound_of(stage, torch.cat(self._held), pieces.speed), output.result)
        if self._grow is None and hasattr(stage, "grow"):
            self._grow = stage.grow(pieces.speed)
        if self._grow is None:
            return None
        waveforms = [self._grow(torch.cat(self._held), False)]
        self._held = []
        if output.result is not None:
            waveforms.append(self._grow(output.new_tokens[:0], True))
        sounded = [waveform.float().cpu() for waveform in waveforms if waveform is not None]
        if output.result is not None:
            return pieces.last(torch.cat([torch.zeros(0), *sounded]), output.result)
        return pieces.middle(sounded[0]) if sounded else None
