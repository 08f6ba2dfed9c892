"""Spectral distances between waveforms, at several time-frequency trade-offs.

Method: multi-resolution short-time Fourier losses (Yamamoto et al. 2020, arXiv 1910.11480) with the multi-scale
log-mel term of later codecs. Magnitudes at several resolutions together also teach consistent phase.
"""

from __future__ import annotations

import torch
import torchaudio
from einops import rearrange
from torch import Tensor, nn


class SpectralDistance(nn.Module):
    """Log-mel, log-magnitude and relative-magnitude distance at one resolution."""

    window: Tensor
    filters: Tensor

    def __init__(self, n_fft: int, sample_rate: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, n_fft // 4
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        bins = max(n_fft // 12, 10)
        filters = torchaudio.functional.melscale_fbanks(
            n_fft // 2 + 1, 0.0, sample_rate / 2, bins, sample_rate, norm=None, mel_scale="htk"
        )
        # A filter narrower than a bin can be empty; it would only add a constant.
        self.register_buffer("filters", filters[:, filters.sum(0) > 0], persistent=False)

    def _magnitude(self, waveform: Tensor) -> Tensor:
        spectrum = torch.stft(waveform, self.n_fft, self.hop, window=self.window, center=True, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        return rearrange(power.clamp_min(1e-9).sqrt(), "b f t -> b t f")

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Two float32 [B, samples] -> (mel distance, magnitude distance), both scalars."""
        m, r = self._magnitude(made), self._magnitude(real)
        mel = ((m @ self.filters).clamp_min(1e-4).log() - (r @ self.filters).clamp_min(1e-4).log()).abs().mean()
        relative = torch.linalg.vector_norm(m - r) / torch.linalg.vector_norm(r).clamp_min(1e-3)
        log = (m.clamp_min(1e-3).log() - r.clamp_min(1e-3).log()).abs().mean()
        return mel, relative + log


class MultiResolutionDistance(nn.Module):
    """The mean of `SpectralDistance` over several window sizes."""

    def __init__(self, sizes: tuple[int, ...], sample_rate: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(SpectralDistance(size, sample_rate) for size in sizes)

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Two [B, samples] -> mean (mel distance, magnitude distance)."""
        with torch.autocast(made.device.type, enabled=False):
            pairs = [scale(made.float(), real.float()) for scale in self.scales]
        mel, magnitude = zip(*pairs, strict=True)
        return torch.stack(mel).mean(), torch.stack(magnitude).mean()
