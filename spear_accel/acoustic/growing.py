"""Sound of one utterance whose tokens are handed in as they come: pushed in, while `MelStage.stream` pulls.

Who serves many utterances at a time in one thread needs this: nothing waits inside for the next tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.acoustic.griffin_lim import GriffinLim
from spear_accel.acoustic.mel_decoder import MelDecoder
from spear_accel.acoustic.streaming import ContextWindow
from spear_accel.acoustic.tempo import Stretch
from spear_accel.acoustic.vocoder import Vocoder

__all__ = ["GrowingSound"]

_LEAST_SECONDS = 0.2
"""At least this much new sound is computed at a time; less would be mostly context."""


class GrowingSound:
    """Takes chunks of valid tokens int64 [n], gives pieces float32 [samples] as soon as their context is known.

    Joined, the pieces equal the sound of the whole utterance. Each piece costs itself and a bounded context.
    """

    def __init__(self, mel_decoder: MelDecoder, to_waveform: Vocoder | GriffinLim, speed: float) -> None:
        """speed: a factor on the tempo."""
        least = max(1, round(_LEAST_SECONDS * mel_decoder.config.frame_rate))
        ratio, self._bins = mel_decoder.frames_per_token, mel_decoder.mel.bins
        self._mels = ContextWindow(lambda tokens: mel_decoder(tokens).log_mel, mel_decoder.reach, ratio, least)
        self._sound = ContextWindow(to_waveform, to_waveform.reach, mel_decoder.mel.hop)
        self._stretch = None if speed == 1.0 else Stretch(speed)

    @torch.inference_mode()
    def push(self, tokens: Tensor, last: bool = False) -> Tensor | None:
        """The sound that the tokens make certain, None if there is none yet. `last`: no tokens come behind these."""
        log_mel = self._mels.push(tokens[None], last)
        if log_mel is None and not last:
            return None
        log_mel = tokens.new_zeros(1, 0, self._bins).float() if log_mel is None else log_mel
        log_mel = log_mel if self._stretch is None else self._stretch.push(log_mel, last)
        piece = self._sound.push(log_mel, last)
        return None if piece is None else piece[0]
