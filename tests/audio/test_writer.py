"""Sound files: WAV with the same bytes everywhere, and what else libsndfile writes."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spear_accel.audio.writer import SoundWriter, format_of, pcm16, sound_bytes, sound_formats
from spear_accel.errors import UserError

RATE = 24000
GOLDEN = bytes.fromhex(
    "52494646 2e000000 57415645 666d7420 10000000 0100 0100 c05d0000 80bb0000 0200 1000 64617461 0a000000"
    "0000 ff7f 0180 ff7f 0040"
)
"""The whole WAV file of 0, 1, -1, 2 and .5 at 24 kHz."""


def tone(seconds: float = 1.5) -> np.ndarray:
    """440 Hz at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def by_the_standard_library(samples: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", "not compressed"))
        sound.writeframes(pcm16(samples))
    return file.getvalue()


def test_a_wav_has_the_golden_bytes() -> None:
    assert sound_bytes(np.array([0.0, 1.0, -1.0, 2.0, 0.5], dtype=np.float32), RATE) == GOLDEN


@settings(deadline=None)
@given(
    samples=arrays.arrays(np.float32, st.integers(0, 40), elements=st.floats(-2, 2, width=32)),
    rate=st.sampled_from([8000, 22050, 24000, 48000]),
)
def test_a_wav_is_that_of_the_standard_library(samples: np.ndarray, rate: int) -> None:
    assert sound_bytes(samples, rate) == by_the_standard_library(samples, rate)


def test_a_sound_in_pieces_is_the_whole_sound() -> None:
    whole, file = tone(), io.BytesIO()
    with SoundWriter(file, RATE) as writer:
        for piece in np.array_split(whole, 7):
            writer.write(piece)
    assert file.getvalue() == sound_bytes(whole, RATE)


@pytest.mark.parametrize("format", ["wav", "flac", "aiff", "au", "caf"])
def test_formats_without_loss_hold_the_samples_of_the_wav(format: str) -> None:
    samples, rate = soundfile.read(io.BytesIO(sound_bytes(tone(), RATE, format)), dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(samples, np.frombuffer(pcm16(tone()), dtype="<i2"))


@pytest.mark.parametrize("format", ["ogg", "opus", "mp3"])
def test_lossy_formats_are_near_the_sound_and_smaller(format: str) -> None:
    if format not in sound_formats():
        pytest.skip(f"the system's libsndfile writes no {format}")
    data = sound_bytes(tone(), RATE, format)
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == RATE and len(data) < 0.7 * len(sound_bytes(tone(), RATE))
    assert len(samples) == pytest.approx(len(tone()), abs=2400)
    inside = samples[RATE // 2 : RATE]
    assert float(np.sqrt(np.mean(inside**2))) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert np.abs(np.fft.rfft(inside * np.hanning(len(inside)))).argmax() == 220  # bins of 2 Hz


def test_two_sounds_at_once_do_not_mix() -> None:
    one, other = io.BytesIO(), io.BytesIO()
    with SoundWriter(one, RATE, "flac") as first, SoundWriter(other, RATE, "flac") as second:
        for piece in np.array_split(tone(), 5):
            first.write(piece)
            second.write(-piece)
    samples = [soundfile.read(io.BytesIO(file.getvalue()), dtype="int16")[0] for file in (one, other)]
    np.testing.assert_array_equal(samples[0], -samples[1])


@pytest.mark.parametrize("format", ["wav", "flac", "mp3"])
def test_a_full_disk_reaches_the_caller(format: str) -> None:
    with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb", buffering=0) as file:  # noqa: SIM117
        with SoundWriter(file, RATE, format) as writer:
            writer.write(tone())


@pytest.mark.parametrize(("format", "fault"), [("opus", "not written at 23456 Hz"), ("m4a", "'m4a' is unknown")])
def test_what_cannot_be_written_is_refused(format: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        SoundWriter(io.BytesIO(), 23456, format)


@pytest.mark.parametrize(("name", "format"), [("a.wav", "wav"), ("a.b/c.FLAC", "flac"), ("noending", "wav")])
def test_the_ending_of_a_name_chooses_the_format(name: str, format: str) -> None:
    assert format_of(name) == format


@pytest.mark.parametrize("name", ["a.m4a", "a.wav.gz", "a.txt"])
def test_other_endings_are_refused_with_those_that_are_written(name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: .*ends with .*; name it \.wav, \.flac"):
        format_of(name)
