"""LJSpeech layout: what is read, what is left out, and how faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from spear_accel.data.corpus import read_corpus, scan_corpus
from spear_accel.errors import UserError


def corpus(folder: Path, table: str, names: tuple[str, ...]) -> Path:
    (folder / "wavs").mkdir()
    for name in names:
        (folder / "wavs" / name).write_bytes(b"")
    (folder / "metadata.csv").write_text(table, encoding="utf-8")
    return folder


def test_reads_any_suffix_and_the_last_column_that_is_not_empty(tmp_path: Path) -> None:
    folder = corpus(tmp_path, "\ufeffa1|Raw 1|Raw one\r\na2|Only\n\na.3|Raw|\n", ("a1.flac", "a2.opus", "a.3.wav"))
    first, second, third = read_corpus(folder)
    assert (first.id, first.audio.name, first.text) == ("a1", "a1.flac", "Raw one")
    assert (second.text, third.text, third.audio.name) == ("Only", "Raw", "a.3.wav")


def test_a_text_may_hold_any_other_line_separator(tmp_path: Path) -> None:
    folder = corpus(tmp_path, "a1|one\u2028two\x0bthree\n", ("a1.wav",))
    assert read_corpus(folder)[0].text == "one\u2028two\x0bthree"


def test_of_several_files_of_an_id_audio_is_taken_and_always_the_same(tmp_path: Path) -> None:
    folder = corpus(tmp_path, "a1|x\n", ("a1.lab", "a1.flac", "a1.wav", "._a1.wav"))
    assert read_corpus(folder)[0].audio.name == "a1.wav"


def test_faults_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metadata\.csv: no such file"):
        read_corpus(tmp_path)
    folder = corpus(tmp_path, "a1|x|x\nbroken\n", ("a1.wav",))
    with pytest.raises(UserError, match=r"line 2: expected"):
        read_corpus(folder)
    (folder / "metadata.csv").write_text("a1|x|x\na9|y|y\n")
    with pytest.raises(UserError, match=r"line 2: no recording a9"):
        read_corpus(folder)
    (folder / "metadata.csv").write_bytes(b"a1|\xff|x\n")
    with pytest.raises(UserError, match=r"not UTF-8 \(byte 4\)"):
        read_corpus(folder)
    (folder / "metadata.csv").write_text("\n")
    with pytest.raises(UserError, match=r"no line can be used; "):
        read_corpus(folder)


def test_a_scan_leaves_out_what_is_incomplete_and_names_it(tmp_path: Path) -> None:
    table = "a1|x\nbroken\n|no id\na9|gone\na1|twice\na2|y\n"
    found = scan_corpus(corpus(tmp_path, table, ("a1.wav", "a2.wav", "a3.wav")))
    assert [entry.id for entry in found.entries] == ["a1", "a2"]
    said = "\n".join(found.faults)
    assert len(found.faults) == 5
    for part in (
        "line 2: expected",
        "line 3: expected",
        "line 4: no recording a9",
        "line 5: the id a1",
        "a3.wav: no line",
    ):
        assert part in said
