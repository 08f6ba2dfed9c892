"""LJSpeech layout and manifests: what is read, and how faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from spear_accel.data.corpus import prompt_of, read_corpus, split_by_prompt
from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest, write_manifest


def corpus(folder: Path, table: str, names: tuple[str, ...]) -> Path:
    (folder / "wavs").mkdir()
    for name in names:
        (folder / "wavs" / name).write_bytes(b"")
    (folder / "metadata.csv").write_text(table)
    return folder


def test_reads_any_suffix_and_the_last_column(tmp_path: Path) -> None:
    folder = corpus(tmp_path, "a1|Raw 1|Raw one\na2|Only\n", ("a1.flac", "a2.opus"))
    first, second = read_corpus(folder)
    assert (first.id, first.audio.name, first.text) == ("a1", "a1.flac", "Raw one")
    assert second.text == "Only"


def test_faults_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metadata\.csv: no such file"):
        read_corpus(tmp_path)
    folder = corpus(tmp_path, "a1|x|x\nbroken\n", ("a1.wav",))
    with pytest.raises(UserError, match=r"line 2: expected"):
        read_corpus(folder)
    (folder / "metadata.csv").write_text("a1|x|x\na9|y|y\n")
    with pytest.raises(UserError, match=r"line 2: no recording a9"):
        read_corpus(folder)


def test_takes_of_a_prompt_stay_together(tmp_path: Path) -> None:
    ids = ("arctic_a0001_1", "arctic_a0001_2", "arctic_a0002_1")
    folder = corpus(tmp_path, "".join(f"{i}|t|t\n" for i in ids), tuple(f"{i}.wav" for i in ids))
    kept, out = split_by_prompt(read_corpus(folder), ["arctic_a0001"])
    assert [u.id for u in kept] == ["arctic_a0002_1"]
    assert {prompt_of(u.id) for u in out} == {"arctic_a0001"}


def test_manifest_round_trip(tmp_path: Path) -> None:
    records = [{"id": "a", "text": "über"}, {"id": "b", "tokens": [1, 2]}]
    assert write_manifest(tmp_path / "deep" / "m.jsonl", records) == 2
    assert read_manifest(tmp_path / "deep" / "m.jsonl", ("id",)) == records
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["m.jsonl"]


def test_a_failed_manifest_leaves_the_old_one(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [{"id": "old"}])

    def failing():  # type: ignore[no-untyped-def]
        yield {"id": "new"}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifest(tmp_path / "m.jsonl", failing())
    assert read_manifest(tmp_path / "m.jsonl") == [{"id": "old"}]


@pytest.mark.parametrize(
    ("line", "fault"), [("{", "not JSON"), ("[1]", "expected a JSON object"), ('{"id": 1}', "lacks text")]
)
def test_manifest_faults_name_the_line(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "m.jsonl").write_text('{"id": 0, "text": ""}\n\n' + line + "\n")
    with pytest.raises(UserError, match=rf"line 3: {fault}"):
        read_manifest(tmp_path / "m.jsonl", ("id", "text"))
