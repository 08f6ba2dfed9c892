"""The mel decoder: shapes, rows apart, the pitch it is told, its reach."""

from __future__ import annotations

import math

import pytest
import torch

from spear_accel.acoustic import LogMelConfig, MelDecoder, MelDecoderConfig
from spear_accel.acoustic.harmonics import HarmonicTemplate
from spear_accel.acoustic.mel import LogMel
from spear_accel.acoustic.mel_decoder import Pitch
from spear_accel.errors import UserError


@pytest.mark.parametrize(("rate", "ratio"), [(25, 4), (50, 2), (100, 1)])
def test_frames_per_token_follow_the_frame_rate(rate: float, ratio: int, mel: LogMelConfig) -> None:
    config = MelDecoderConfig(7, rate, width=8, hidden=8, token_blocks=1, frame_blocks=1, pitch_width=8, pitch_blocks=1)
    made = MelDecoder(config, mel)(torch.randint(0, 7, (2, 11)))
    assert made.log_mel.shape == (2, 11 * ratio, mel.bins)
    assert made.log_hz.shape == made.voicing_logits.shape == (2, 11 * ratio)


def test_a_frame_rate_that_does_not_divide_is_refused(mel: LogMelConfig) -> None:
    with pytest.raises(UserError, match="choose frame_rate 25 or 50"):
        MelDecoder(MelDecoderConfig(7, 30), mel)


def test_a_row_is_the_same_alone_and_in_a_ragged_batch(mel_decoder: MelDecoder) -> None:
    tokens = torch.randint(0, 40, (3, 30))
    lengths = torch.tensor([30, 13, 1])
    together = mel_decoder(tokens, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = mel_decoder(tokens[row : row + 1, :length])
        torch.testing.assert_close(together.log_mel[row : row + 1, : 2 * length], alone.log_mel, atol=1e-5, rtol=0)
        torch.testing.assert_close(together.log_hz[row : row + 1, : 2 * length], alone.log_hz, atol=1e-5, rtol=0)


def test_nothing_past_the_reach_matters(mel_decoder: MelDecoder) -> None:
    tokens = torch.randint(0, 40, (1, 90))
    changed = tokens.clone()
    changed[0, 45] = (changed[0, 45] + 1) % 40
    differs = (mel_decoder(tokens).log_mel != mel_decoder(changed).log_mel).any(-1)[0].nonzero()[:, 0] // 2
    assert 45 - mel_decoder.reach <= int(differs.min()) and int(differs.max()) <= 45 + mel_decoder.reach
    assert len(differs) > 2


def test_the_pitch_told_is_the_pitch_used(mel_decoder: MelDecoder) -> None:
    tokens = torch.randint(0, 40, (1, 20))
    low, high = (Pitch(torch.full((1, 40), math.log(hz)), torch.ones(1, 40)) for hz in (120.0, 300.0))
    assert not torch.allclose(mel_decoder(tokens, None, low).log_mel, mel_decoder(tokens, None, high).log_mel)
    unvoiced = [Pitch(pitch.log_hz, torch.zeros(1, 40)) for pitch in (low, high)]
    whispers = [mel_decoder(tokens, None, pitch).log_mel for pitch in unvoiced]
    torch.testing.assert_close(whispers[0], whispers[1])


@pytest.mark.parametrize("hz", [130.0, 210.0, 333.0])
def test_harmonic_template_matches_a_real_pulse_train(hz: float, mel: LogMelConfig) -> None:
    time = torch.arange(24000) / 24000
    partials = range(1, int(11000 / hz))
    waveform = sum(torch.sin(2 * math.pi * hz * k * time + k * k) for k in partials) * 0.01
    heard = LogMel(mel)(torch.as_tensor(waveform)[None])[0, 50, :25]
    told = HarmonicTemplate(mel, 80, 480)(torch.tensor(math.log(hz)))[:25]
    assert torch.corrcoef(torch.stack([heard, told]))[0, 1] > 0.9


def test_tokens_may_enter_as_given_vectors(mel: LogMelConfig) -> None:
    config = MelDecoderConfig(
        40, 50, width=16, hidden=24, token_blocks=1, frame_blocks=1, pitch_width=8, pitch_blocks=1, centroid_width=6
    )
    torch.manual_seed(0)
    decoder, centroids = MelDecoder(config, mel).eval(), torch.randn(40, 6)
    centroids[7] = centroids[3]
    decoder.take_centroids(centroids)
    assert not torch.allclose(decoder(torch.tensor([[3, 5]])).log_mel, decoder(torch.tensor([[4, 5]])).log_mel)
    torch.testing.assert_close(decoder(torch.tensor([[3, 5]])).log_mel, decoder(torch.tensor([[7, 5]])).log_mel)
    with pytest.raises(UserError, match=r"centroids are \[40, 5\]"):
        decoder.take_centroids(torch.randn(40, 5))
    with pytest.raises(UserError, match=r"set model\.units and model\.centroid_width"):
        MelDecoder(MelDecoderConfig(40, 50), mel).take_centroids(centroids)
