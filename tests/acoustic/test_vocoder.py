"""The vocoder: exact lengths, rows apart, true inversion of a spectrogram."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.acoustic import LogMelConfig, Vocoder, VocoderConfig
from spear_accel.acoustic.vocoder import InverseStft
from spear_accel.errors import UserError


@settings(max_examples=10)
@given(frames=st.integers(1, 40))
def test_inverse_stft_returns_the_waveform_sample_by_sample(frames: int) -> None:
    config = LogMelConfig()
    waveform = torch.randn(2, config.hop * frames)
    padded = torch.nn.functional.pad(waveform, (config.edge, config.edge))
    spectrum = torch.stft(
        padded, config.n_fft, config.hop, window=torch.hann_window(config.n_fft), center=False, return_complex=True
    )
    restored = InverseStft(config)(spectrum.transpose(1, 2))
    assert restored.shape == waveform.shape
    torch.testing.assert_close(restored, waveform, atol=1e-5, rtol=1e-4)


@settings(max_examples=8)
@given(frames=st.integers(1, 25))
def test_length_is_frames_times_hop(frames: int) -> None:
    mel = LogMelConfig()
    vocoder = Vocoder(VocoderConfig(width=8, hidden=8, blocks=1), mel)
    assert vocoder(torch.randn(1, frames, mel.bins)).shape == (1, frames * mel.hop)


def test_a_row_sounds_the_same_alone_and_in_a_ragged_batch(vocoder: Vocoder, mel: LogMelConfig) -> None:
    log_mel = torch.randn(3, 50, mel.bins) - 5
    lengths = torch.tensor([50, 21, 1])
    together = vocoder(log_mel, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = vocoder(log_mel[row : row + 1, :length])
        torch.testing.assert_close(together[row : row + 1, : length * mel.hop], alone, atol=1e-5, rtol=0)
        assert not together[row, length * mel.hop :].any()


def test_reach_is_exact(vocoder: Vocoder, mel: LogMelConfig) -> None:
    log_mel = torch.randn(1, 80, mel.bins, requires_grad=True)
    frame = slice(40 * mel.hop, 41 * mel.hop)
    vocoder(log_mel)[0, frame].square().sum().backward()
    assert log_mel.grad is not None
    touched = log_mel.grad[0].abs().sum(-1).nonzero()[:, 0]
    assert 40 - vocoder.reach <= int(touched.min()) and int(touched.max()) <= 40 + vocoder.reach
    assert int(touched.max()) >= 40 + vocoder.reach - 1


def test_even_kernels_are_refused() -> None:
    with pytest.raises(UserError, match="kernel odd"):
        VocoderConfig(kernel=4)
