"""Log-mel to waveform without any weights: torchaudio's Griffin-Lim behind the vocoder's interface.

Method: fast Griffin-Lim (Perraudin et al. 2013). Sounds metallic; it is there so that a mel decoder can be heard before
its vocoder is trained, and as the mark that a vocoder has to beat.
"""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor, nn

from spear_accel.acoustic.mel import LogMelConfig, mel_filters


class GriffinLim(nn.Module):
    """Log-mel frames to a waveform of exactly `hop` samples a frame; deterministic."""

    inverse: Tensor

    def __init__(self, mel: LogMelConfig, iterations: int = 32) -> None:
        super().__init__()
        self.mel, self.iterations = mel, iterations
        self.register_buffer("inverse", torch.linalg.pinv(mel_filters(mel)), persistent=False)
        self.phase = torchaudio.transforms.GriffinLim(
            mel.n_fft, iterations, hop_length=mel.hop, power=1.0, rand_init=False
        )

    @property
    def reach(self) -> int:
        """Frames on each side that a frame's samples depend on: each iteration looks one window further."""
        return (self.iterations + 1) * -(-self.mel.n_fft // self.mel.hop)

    def _row(self, log_mel: Tensor) -> Tensor:
        """[F, bins] -> [F * hop]."""
        magnitude = (log_mel.exp() @ self.inverse).clamp_min(0.0)
        # torchaudio centres frame k at sample k * hop, we half a hop later: one frame more on each side, then a cut.
        magnitude = torch.cat([magnitude[:1], magnitude, magnitude[-1:]])
        waveform: Tensor = self.phase(magnitude.T)
        begin = self.mel.hop // 2
        return waveform[begin : begin + len(log_mel) * self.mel.hop]

    def forward(self, log_mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[B, F, bins] and frame counts [B] -> float32 [B, F * hop]; samples past a row's length are zero."""
        frames = log_mel.shape[1]
        counts = [frames] * len(log_mel) if lengths is None else lengths.tolist()
        rows = [self._row(row[:count]) for row, count in zip(log_mel, counts, strict=True)]
        return torch.stack([nn.functional.pad(row, (0, frames * self.mel.hop - len(row))) for row in rows])
