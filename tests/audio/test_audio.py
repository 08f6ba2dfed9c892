"""Audio reading: rates, channels, and files that are not audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from spear_accel.audio.files import read_audio
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
