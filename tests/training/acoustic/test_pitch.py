"""The pitch tracker against signals whose pitch is known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from spear_accel.training.acoustic.pitch import PitchConfig, cached_pitch, track_pitch

RATE, HOP = 24000, 240


def pulses(hertz: torch.Tensor) -> torch.Tensor:
    """A waveform of ten harmonics that follows `hertz` [samples]."""
    phase = torch.cumsum(2 * math.pi * hertz / RATE, 0)
    return sum((torch.sin(k * phase) / k for k in range(1, 11)), torch.zeros(())) * 0.1


def test_a_glide_is_followed_within_one_percent() -> None:
    hertz = torch.linspace(120, 400, RATE)
    tracked = track_pitch(pulses(hertz), RATE, HOP, PitchConfig())
    expected = hertz[HOP // 2 :: HOP]
    assert tracked.shape == expected.shape
    assert ((tracked / expected - 1).abs() < 0.01).all()


def test_noise_and_silence_are_unvoiced() -> None:
    torch.manual_seed(0)
    for waveform in (torch.randn(RATE // 2) * 0.1, torch.zeros(RATE // 2)):
        assert (track_pitch(waveform, RATE, HOP, PitchConfig()) > 0).float().mean() < 0.1


def test_voicing_starts_where_the_voice_starts() -> None:
    waveform = pulses(torch.full((RATE,), 180.0))
    waveform[: RATE // 2] = torch.randn(RATE // 2) * 0.01
    voiced = track_pitch(waveform, RATE, HOP, PitchConfig()) > 0
    assert abs(int(voiced.float().argmax()) - 50) <= 3 and voiced[55:].all()


@pytest.mark.parametrize("samples", [0, 100, 239])
def test_clips_shorter_than_a_frame_have_no_pitch(samples: int) -> None:
    assert track_pitch(torch.zeros(samples), RATE, HOP, PitchConfig()).shape == (0,)


def test_the_cache_returns_what_was_tracked(tmp_path: Path) -> None:
    waveform = pulses(torch.full((RATE // 2,), 200.0))
    first = cached_pitch("a", waveform, RATE, HOP, PitchConfig(), tmp_path)
    again = cached_pitch("a", torch.zeros(0), RATE, HOP, PitchConfig(), tmp_path)
    assert torch.equal(first, again) and first.max() > 190
