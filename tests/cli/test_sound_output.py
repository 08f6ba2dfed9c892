"""Where the sound of a command goes: files of several formats, pipes and devices."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spear_accel.audio.writer import pcm16, sound_bytes
from spear_accel.cli import sound_output
from spear_accel.errors import UserError

SAMPLES = np.linspace(-1, 1, 5000, dtype=np.float32)


def write(output: Path, raw: bool = False) -> None:
    sound_output.check(str(output), raw)
    with sound_output.open_sink(str(output), raw, 24000) as sink:
        for piece in np.array_split(SAMPLES, 3):
            sink.write(piece)


def test_the_ending_chooses_the_format(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    write(tmp_path / "a.flac")
    assert (tmp_path / "a.wav").read_bytes() == sound_bytes(SAMPLES, 24000)
    assert soundfile.info(str(tmp_path / "a.flac")).format == "FLAC"
    np.testing.assert_array_equal(*(soundfile.read(str(tmp_path / f"a.{ending}"))[0] for ending in ("wav", "flac")))


@pytest.mark.parametrize("raw", [True, False])
def test_a_fifo_gets_the_sound_and_stays(tmp_path: Path, raw: bool) -> None:
    fifo, read = tmp_path / "player", []
    os.mkfifo(fifo)
    assert sound_output.is_live(str(fifo), raw) == raw
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write(fifo, raw)
    reader.join()
    assert read == [pcm16(SAMPLES) if raw else sound_bytes(SAMPLES, 24000)]
    assert fifo.is_fifo() and list(tmp_path.iterdir()) == [fifo]


def test_raw_samples_may_have_any_ending(tmp_path: Path) -> None:
    write(tmp_path / "a.s16", raw=True)
    assert (tmp_path / "a.s16").read_bytes() == pcm16(SAMPLES)
    with pytest.raises(UserError, match=r"ends with \.s16"):
        write(tmp_path / "a.s16")


@pytest.mark.parametrize("raw", [True, False])
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, raw: bool) -> None:
    (tmp_path / "a.wav").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"a\.wav: cannot write \(No space left"):
        write(tmp_path / "a.wav", raw)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_rate_that_the_format_lacks_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="opus is not written at 22050 Hz"),
        sound_output.open_sink(str(tmp_path / "a.opus"), False, 22050),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
