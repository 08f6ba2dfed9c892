"""Log-mel to waveform: a network that predicts a complex spectrogram, inverted by overlap-add.

Method: Vocos (Siuzdak 2023, arXiv 2306.00814): ConvNeXt blocks at frame rate, a head that predicts log-magnitude and
phase, inverse short-time Fourier transform. Does not know semantic tokens, losses or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spear_accel.acoustic.convnext import ConvNeXtStack, frame_mask
from spear_accel.acoustic.mel import LogMelConfig
from spear_accel.errors import UserError
from spear_accel.kernels.projection import Projection

# exp(7) is well above the largest bin of a full-scale sine under a 1024-sample window: it only stops overflow.
_LARGEST_LOG_MAGNITUDE = 7.0


@dataclass(frozen=True)
class VocoderConfig:
    """Sizes of the network. `mel_mean` and `mel_scale` bring log-mel values near zero mean and unit scale."""

    width: int = 320
    hidden: int = 960
    blocks: int = 8
    kernel: int = 7
    mel_mean: float = -5.5
    mel_scale: float = 2.5

    def __post_init__(self) -> None:
        if min(self.width, self.hidden, self.blocks) < 1 or self.kernel % 2 == 0:
            raise UserError("vocoder: width, hidden and blocks must be positive and kernel odd")


class InverseStft(nn.Module):
    """Complex spectrogram to waveform, with frames placed as in `LogMelConfig`."""

    window: Tensor

    def __init__(self, mel: LogMelConfig) -> None:
        super().__init__()
        self.n_fft, self.hop, self.edge = mel.n_fft, mel.hop, mel.edge
        self.reach = -(-mel.edge // mel.hop)
        self.register_buffer("window", torch.hann_window(mel.n_fft), persistent=False)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """[B, F, n_fft] -> [B, F * hop]: each frame cut into hops, shifted and summed."""
        rows, count, size = frames.shape
        hops = -(-size // self.hop)
        total = frames.new_zeros(rows, count + hops - 1, self.hop)
        for number, piece in enumerate(torch.split(frames, self.hop, dim=-1)):
            total[:, number : number + count, : piece.shape[-1]] += piece
        joined = total.reshape(rows, -1)
        return joined[:, self.edge : self.edge + count * self.hop]

    def forward(self, spectrum: Tensor, mask: Tensor | None = None) -> Tensor:
        """Complex [B, F, n_fft / 2 + 1], mask [B, F, 1] -> float32 [B, F * hop]."""
        frames = torch.fft.irfft(spectrum, self.n_fft, dim=-1) * self.window
        weights = self.window.square().expand(1 if mask is None else len(frames), frames.shape[1], -1)
        if mask is not None:
            frames, weights = frames * mask, weights * mask
        # Where only padding contributes both sums are zero; the floor keeps that at silence.
        return self._overlap_add(frames) / self._overlap_add(weights).clamp_min(1e-5)


class Vocoder(nn.Module):
    """Log-mel frames to a waveform of exactly `hop` samples a frame."""

    def __init__(self, config: VocoderConfig, mel: LogMelConfig) -> None:
        super().__init__()
        self.config, self.mel = config, mel
        self.inlet = nn.Conv1d(mel.bins, config.width, config.kernel, padding=config.kernel // 2)
        self.inlet_norm = nn.LayerNorm(config.width)
        self.stack = ConvNeXtStack(config.width, config.hidden, config.blocks, config.kernel)
        self.head = Projection(config.width, mel.n_fft + 2, bias=True)
        self.inverse = InverseStft(mel)

    @property
    def reach(self) -> int:
        """Frames on each side of a frame that its samples depend on."""
        return self.config.kernel // 2 + self.stack.reach + self.inverse.reach

    def spectrum(self, log_mel: Tensor, mask: Tensor | None) -> Tensor:
        """[B, F, bins] -> complex64 [B, F, n_fft / 2 + 1]."""
        x = (log_mel - self.config.mel_mean) / self.config.mel_scale
        x = x if mask is None else x * mask
        x = self.inlet_norm(self.inlet(x.transpose(1, 2)).transpose(1, 2))
        x = self.stack(x if mask is None else x * mask, mask)
        log_magnitude, phase = self.head(x).float().chunk(2, dim=-1)
        return torch.polar(log_magnitude.clamp_max(_LARGEST_LOG_MAGNITUDE).exp(), phase)

    def forward(self, log_mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[B, F, bins] and frame counts [B] -> float32 [B, F * hop]; samples past a row's length are zero."""
        mask = None if lengths is None else frame_mask(lengths, log_mel.shape[1])
        spectrum = self.spectrum(log_mel, mask)
        waveform: Tensor = self.inverse(spectrum, mask)
        if mask is None:
            return waveform
        return waveform * mask[:, :, 0].repeat_interleave(self.mel.hop, dim=1)
