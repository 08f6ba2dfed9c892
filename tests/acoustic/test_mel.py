"""Frame counts and frame places of the log-mel front end."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.acoustic import LogMel, LogMelConfig
from spear_accel.errors import UserError


@settings(max_examples=15)
@given(frames=st.integers(1, 30), extra=st.integers(0, 239))
def test_frame_count_is_samples_over_hop_rounded_up(frames: int, extra: int) -> None:
    waveform = torch.randn(1, 240 * frames + extra)
    assert LogMel(LogMelConfig())(waveform).shape == (1, frames + (extra > 0), 80)


@pytest.mark.parametrize("k", [5, 9])
def test_frame_k_is_centred_on_its_own_hop(k: int) -> None:
    waveform = torch.zeros(1, 240 * 16)
    waveform[0, 240 * k + 120] = 1.0
    energy = LogMel(LogMelConfig())(waveform)[0].mean(-1)
    assert int(energy.argmax()) == k
    assert energy[k - 1].item() == pytest.approx(energy[k + 1].item(), abs=1e-3)


def test_a_tone_lands_in_the_bin_of_its_frequency() -> None:
    time = torch.arange(24000) / 24000
    config = LogMelConfig()
    low, high = (LogMel(config)(torch.sin(2 * math.pi * hz * time)[None])[0, 50] for hz in (300.0, 3000.0))
    assert int(low.argmax()) < int(high.argmax())
    silence = LogMel(config)(torch.zeros(1, 2400))
    torch.testing.assert_close(silence, torch.full_like(silence, math.log(config.floor)))


def test_frames_do_not_depend_on_padding_behind() -> None:
    waveform = torch.randn(1, 240 * 12)
    alone = LogMel(LogMelConfig())(waveform)
    padded = LogMel(LogMelConfig())(torch.nn.functional.pad(waveform, (0, 240 * 7)))
    torch.testing.assert_close(padded[:, :12], alone, atol=1e-4, rtol=0)


def test_bad_geometry_is_refused() -> None:
    with pytest.raises(UserError, match="highest_hz"):
        LogMelConfig(highest_hz=13000.0)
    with pytest.raises(UserError, match="even"):
        LogMelConfig(hop=241)
