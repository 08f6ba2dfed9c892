"""Small discriminators that teach the vocoder (and the mel decoder) fine structure; used in training only.

Methods: multi-resolution spectrogram discriminators (UnivNet, Jang et al. 2021, arXiv 2106.07889) and multi-period
discriminators (HiFi-GAN, Kong et al. 2020, arXiv 2010.05646), least-squares objective (Mao et al. 2017,
arXiv 1611.04076) and feature matching. Both are cut down so that a CPU can afford them: large strides come first.
Knows waveforms and pictures of mel frames. Does not know the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

_SLOPE = 0.1


@dataclass(frozen=True)
class Judgement:
    """What one discriminator said of one batch: the score map and the hidden maps that led to it."""

    score: Tensor
    features: tuple[Tensor, ...]


class ConvolutionalJudge(nn.Module):
    """A chain of two-dimensional convolutions, remembering every hidden map."""

    def __init__(self, layers: list[nn.Conv2d], score: nn.Conv2d) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in layers)
        self.score = nn.utils.parametrizations.weight_norm(score)

    def forward(self, picture: Tensor) -> Judgement:
        """[B, 1, height, width] -> score [B, 1, h, w]."""
        features = []
        for layer in self.layers:
            picture = nn.functional.leaky_relu(layer(picture), _SLOPE)
            features.append(picture)
        return Judgement(self.score(picture), tuple(features))


class SpectrogramDiscriminator(nn.Module):
    """Judges the magnitude spectrogram at one resolution."""

    window: Tensor

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, n_fft // 4
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        half = channels // 2
        layers = [
            nn.Conv2d(1, half, (9, 3), (4, 1), (4, 1)),
            nn.Conv2d(half, channels, (9, 3), (2, 2), (4, 1)),
            nn.Conv2d(channels, channels, (5, 3), (2, 1), (2, 1)),
            nn.Conv2d(channels, channels, (3, 3), (2, 1), (1, 1)),
        ]
        self.judge = ConvolutionalJudge(layers, nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, waveform: Tensor) -> Judgement:
        """[B, samples]."""
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(
                waveform.float(), self.n_fft, self.hop, window=self.window, center=False, return_complex=True
            )
            # A power below one brings quiet detail within reach without the noise of a logarithm near zero.
            picture = rearrange((spectrum.abs() + 1e-4).pow(0.3), "b f t -> b 1 f t")
        judgement: Judgement = self.judge(picture)
        return judgement


class PeriodDiscriminator(nn.Module):
    """Judges the waveform folded into columns of one period, which shows up wrong periodicity."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        sizes = [1, channels // 2, channels, channels * 2]
        layers = [nn.Conv2d(inlet, outlet, (5, 1), (3, 1), (2, 0)) for inlet, outlet in pairwise(sizes)]
        layers.append(nn.Conv2d(channels * 2, channels * 2, (5, 1), 1, (2, 0)))
        self.judge = ConvolutionalJudge(layers, nn.Conv2d(channels * 2, 1, (3, 1), padding=(1, 0)))

    def forward(self, waveform: Tensor) -> Judgement:
        """[B, samples]."""
        usable = waveform.shape[-1] // self.period * self.period
        picture = rearrange(waveform[:, :usable], "b (t p) -> b 1 t p", p=self.period)
        judgement: Judgement = self.judge(picture)
        return judgement


class MelDiscriminator(nn.Module):
    """Judges a picture of log-mel frames in overlapping patches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = [
            nn.Conv2d(1, channels // 2, (3, 5), (1, 2), (1, 2)),
            nn.Conv2d(channels // 2, channels, (3, 5), (2, 2), (1, 2)),
            nn.Conv2d(channels, channels, (3, 5), (2, 2), (1, 2)),
            nn.Conv2d(channels, channels, (3, 3), (1, 2), (1, 1)),
        ]
        self.judge = ConvolutionalJudge(layers, nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, picture: Tensor) -> Judgement:
        """[B, 1, frames, bins] near unit scale."""
        judgement: Judgement = self.judge(picture)
        return judgement


class WaveformDiscriminator(nn.Module):
    """All judges of a waveform together."""

    def __init__(self, resolutions: tuple[int, ...], periods: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.judges = nn.ModuleList(
            [SpectrogramDiscriminator(n_fft, channels) for n_fft in resolutions]
            + [PeriodDiscriminator(period, channels) for period in periods]
        )

    def forward(self, waveform: Tensor) -> list[Judgement]:
        """[B, samples] -> one judgement a judge."""
        return [judge(waveform) for judge in self.judges]


def fixed_judgement(discriminator: nn.Module, real: Tensor, made: Tensor) -> tuple[Any, Any]:
    """Judgements for the generator's step: gradients reach `made` but not the discriminator's weights."""
    fixed = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    with torch.no_grad():
        of_real = discriminator(real)
    return of_real, torch.func.functional_call(discriminator, fixed, (made,))


def discriminator_loss(real: list[Judgement], made: list[Judgement]) -> Tensor:
    """Real should score one, made should score zero."""
    terms = [
        (r.score.float() - 1).square().mean() + m.score.float().square().mean() for r, m in zip(real, made, strict=True)
    ]
    return torch.stack(terms).mean()


def generator_loss(made: list[Judgement]) -> Tensor:
    """Made should score one."""
    return torch.stack([(m.score.float() - 1).square().mean() for m in made]).mean()


def feature_matching_loss(real: list[Judgement], made: list[Judgement]) -> Tensor:
    """Mean distance of hidden maps, each relative to its own size so that no layer dominates."""
    terms = [
        (a.detach().float() - b.float()).abs().mean() / a.detach().float().abs().mean().clamp_min(1e-3)
        for r, m in zip(real, made, strict=True)
        for a, b in zip(r.features, m.features, strict=True)
    ]
    return torch.stack(terms).mean()
