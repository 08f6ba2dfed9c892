"""What a fundamental frequency looks like in mel bins.

A mel decoder that is told the pitch as one number has to learn the comb of harmonics for every frequency; here the
comb is computed. Knows the front end's geometry and frequencies in Hz. Does not know tokens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spear_accel.acoustic.mel import LogMelConfig, mel_filters
from spear_accel.errors import UserError
from spear_accel.kernels.devices import is_without_memory

LOWEST_HZ = 10.0
"""No voice is lower; a lower one would have more harmonics than fit."""
_STEPS_PER_OCTAVE = 48


def _main_lobe(distance: Tensor) -> Tensor:
    """Magnitude of a Hann window's spectrum `distance` bins away from its centre, zero past the main lobe."""
    close = distance.abs().clamp_max(1.999)
    lobe = torch.sinc(close) / (1 - close.square()).where((close - 1).abs() > 1e-3, torch.ones(()))
    return torch.where((close - 1).abs() > 1e-3, lobe, torch.tensor(0.5)).clamp_min(0.0)


def _comb(hz: float, config: LogMelConfig, filters: Tensor) -> Tensor:
    """Log-mel picture [bins] of equally strong harmonics of `hz`, relative to the local average.

    filters: see `mel_filters`.
    """
    bins = torch.arange(config.n_fft // 2 + 1, dtype=torch.float32)
    partials = torch.arange(1, int(config.sample_rate / 2 / hz) + 1) * hz * config.n_fft / config.sample_rate
    spectrum = _main_lobe(bins[:, None] - partials[None, :]).sum(1)
    picture = (spectrum @ filters) / filters.sum(0).clamp_min(1e-9)
    return (picture.clamp_min(1e-2)).log()


class HarmonicTemplate(nn.Module):
    """Log-frequency to a picture of its harmonics in mel bins, interpolated in a table."""

    table: Tensor

    def __init__(self, config: LogMelConfig, lowest_hz: float, highest_hz: float) -> None:
        super().__init__()
        if not LOWEST_HZ <= lowest_hz < highest_hz <= config.sample_rate / 2:
            raise UserError(f"pitch: need {LOWEST_HZ:g} <= lowest < highest <= {config.sample_rate / 2:g} Hz")
        self.lowest = math.log(lowest_hz)
        self.step = math.log(2) / _STEPS_PER_OCTAVE
        count = math.ceil((math.log(highest_hz) - self.lowest) / self.step) + 1
        if is_without_memory():
            self.register_buffer("table", torch.empty(count, config.bins), persistent=False)
            return
        filters = mel_filters(config)
        combs = [_comb(math.exp(self.lowest + i * self.step), config, filters) for i in range(count)]
        self.register_buffer("table", torch.stack(combs), persistent=False)

    def forward(self, log_hz: Tensor) -> Tensor:
        """Natural-log Hz [...] -> [..., bins]; frequencies outside the range are taken to its ends."""
        position = ((log_hz - self.lowest) / self.step).clamp(0, len(self.table) - 1.001)
        index = position.floor().long()
        return torch.lerp(self.table[index], self.table[index + 1], (position - index).unsqueeze(-1))
