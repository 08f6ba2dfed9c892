"""The log-mel spectrogram that the mel decoder predicts and the vocoder reads.

Knows waveforms and mel bins. Does not know semantic tokens, networks or files.

Frames are placed so that frame k is centred at sample `k * hop + hop / 2`; a clip of `hop * n` samples gives
exactly n frames, which makes lengths add up without rounding anywhere downstream.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torchaudio
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.kernels.devices import is_without_memory

_MOST = {"sample_rate": 768_000, "n_fft": 1 << 16, "bins": 1 << 11}
"""Nothing in the weights tells these sizes, and tables are computed from them."""


@dataclass(frozen=True)
class LogMelConfig:
    """Geometry of the spectrogram; frequencies in Hz, sizes in samples."""

    sample_rate: int = 24000
    n_fft: int = 1024
    hop: int = 240
    bins: int = 80
    lowest_hz: float = 0.0
    highest_hz: float = 11000.0
    floor: float = 1e-5

    def __post_init__(self) -> None:
        if self.hop < 1 or self.n_fft < self.hop or (self.n_fft - self.hop) % 2:
            raise UserError(f"log-mel: n_fft ({self.n_fft}) minus hop ({self.hop}) must be even and not negative")
        for name, most in _MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise UserError(f"log-mel: {name} must be between 1 and {most}, got {getattr(self, name)}")
        if not 0 <= self.lowest_hz < self.highest_hz <= self.sample_rate / 2:
            raise UserError(
                f"log-mel: need 0 <= lowest_hz < highest_hz <= {self.sample_rate / 2}, "
                f"got {self.lowest_hz} and {self.highest_hz}"
            )

    @property
    def frames_per_second(self) -> float:
        return self.sample_rate / self.hop

    @property
    def edge(self) -> int:
        """Samples of a frame's window that lie outside its own hop, on each side."""
        return (self.n_fft - self.hop) // 2


def mel_filters(config: LogMelConfig) -> Tensor:
    """Slaney's area-normalised triangular filters: float32 [n_fft / 2 + 1, bins]."""
    if is_without_memory():
        return torch.empty(config.n_fft // 2 + 1, config.bins)
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        config.n_fft // 2 + 1,
        config.lowest_hz,
        config.highest_hz,
        config.bins,
        config.sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )
    return filters


class LogMel(nn.Module):
    """Waveform to natural-log mel magnitudes."""

    filters: Tensor
    window: Tensor

    def __init__(self, config: LogMelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("filters", mel_filters(config), persistent=False)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Float32 [B, samples] -> [B, frames, bins]; frames = ceil(samples / hop), the tail is filled with zeros."""
        config = self.config
        missing = -waveform.shape[-1] % config.hop
        # Zeros, not reflection: a row's frames then do not depend on how far its batch mates are padded.
        padded = nn.functional.pad(waveform, (config.edge, config.edge + missing))
        spectrum = torch.stft(padded, config.n_fft, config.hop, window=self.window, center=False, return_complex=True)
        return (spectrum.abs().transpose(1, 2) @ self.filters).clamp_min(config.floor).log()
