"""Audio reading: rates, channels, and files that are not audio."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spear_accel.audio.files import read_audio, resample
from spear_accel.errors import UserError


def test_channels_are_averaged_and_the_rate_is_changed(tmp_path: Path) -> None:
    time = np.arange(24_000) / 24_000
    tone = np.stack([np.sin(2 * np.pi * 440 * time), np.zeros(24_000)], axis=1)
    soundfile.write(tmp_path / "a.wav", tone, 24_000)
    waveform = read_audio(tmp_path / "a.wav", 16_000)
    assert waveform.shape == (16_000,)
    spectrum = np.abs(np.fft.rfft(waveform.numpy()))
    assert int(spectrum.argmax()) == 440
    assert abs(float(waveform.abs().max()) - 0.5) < 0.02


def test_faults_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.wav: no such file"):
        read_audio(tmp_path / "none.wav", 16_000)
    (tmp_path / "text.wav").write_text("this is not audio")
    with pytest.raises(UserError, match=r"text\.wav: not an audio file"):
        read_audio(tmp_path / "text.wav", 16_000)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    with pytest.raises(UserError, match=r"empty\.wav: holds no samples"):
        read_audio(tmp_path / "empty.wav", 16_000)


@pytest.mark.parametrize("rate", [11_127, 15_999, 44_101, 47_999, 8_001, 191_999])
def test_odd_rates_need_no_huge_filter(rate: int, tmp_path: Path) -> None:
    """A tenth of a second of a tone stays that, to a sample or two and a tenth of a cent."""
    tone = np.sin(2 * np.pi * 440 * np.arange(rate // 10) / rate).astype(np.float32) / 2
    soundfile.write(tmp_path / "tone.wav", tone, rate)
    read = read_audio(tmp_path / "tone.wav", 16_000)
    assert abs(len(read) - 1_600) <= 2
    middle = read[400:1200].numpy()
    assert np.abs(middle - np.sin(2 * np.pi * 440 * np.arange(400, 1200) / 16_000) / 2).max() < 0.02


def test_rates_that_people_use_are_met_exactly() -> None:
    from torchaudio.functional import resample as reference

    for rate in (8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000):
        waveform = torch.randn(rate // 10, generator=torch.Generator().manual_seed(rate))
        assert torch.equal(resample(waveform, rate, 16_000), reference(waveform, rate, 16_000))


def test_a_rate_of_no_recording_is_refused() -> None:
    for rate in (1, 100_000_000):
        with pytest.raises(UserError, match="is none of speech"):
            resample(torch.zeros(10), rate, 16_000)


def test_an_ending_that_libsndfile_has_no_header_for_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(bytes(100))
    with pytest.raises(UserError, match="not an audio file"):
        read_audio(tmp_path / "x.raw", 16_000)


@pytest.mark.skipif(sys.platform == "darwin" or os.name != "posix", reason="names are UTF-8 there")
def test_names_that_are_not_utf_8_and_names_that_are_too_long(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xff.wav")
    soundfile.write(tmp_path / "a.wav", np.zeros(1600, np.float32), 16_000)
    (tmp_path / "a.wav").rename(path)
    assert len(read_audio(path, 16_000)) == 1600
    with pytest.raises(UserError, match="File name too long"):
        read_audio(tmp_path / ("n" * 300 + ".wav"), 16_000)
