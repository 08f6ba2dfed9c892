"""`spear-accel synth` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "lines.csv"
    path.write_text("a|The small boat.\nb|She sells sea shells.\n../c|Not this one.\n", encoding="utf-8")
    return path


def test_a_dataset_with_one_bad_line(run: Run, tiny_voice: Path, text: Path, tmp_path: Path) -> None:
    done = run("synth", text, "-o", tmp_path / "out", "--voice", tiny_voice, "--tokens-only")
    assert done.code == 2
    assert "line 3: the id '../c' is no name for a file" in done.err
    assert "failed.jsonl tells why" in done.err.splitlines()[-1]
    assert (tmp_path / "out" / "manifest.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.txt",), "none.txt: no such file"),
        (("lines.docx",), "no such file"),
        (("lines.csv", "--shard", "4/3"), "--shard 4/3"),
        (("lines.csv", "--shard", "x"), "--shard x"),
        (("lines.csv", "--format", "zip"), "--format zip"),
        (("lines.csv", "--batch-size", "0"), "--batch-size must be a whole number of at least 1, got 0"),
        (("lines.csv", "--method", "magic"), "method 'magic' is unknown"),
        (("lines.csv", "--loudness", "-23", "--tokens-only"), "there is no sound"),
        (("lines.csv", "--lexicon", "none.tsv"), "none.tsv: cannot read"),
        (("lines.csv", "--words", "--tokens-only"), "--words: without sound"),
        (("lines.csv", "--voice", "nobody"), "nobody: no such voice"),
    ],
)
def test_bad_requests(
    run: Run, text: Path, tiny_voice: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    name, *rest = arguments
    text.write_text("a|The small boat.\n")
    voice = () if "--voice" in rest else ("--voice", tiny_voice)
    assert said in run("synth", text.with_name(name), "-o", tmp_path / "out", *voice, *rest).error_line


def test_standard_input(run: Run, tiny_voice: Path, tmp_path: Path) -> None:
    done = run("synth", "-", "-o", tmp_path / "o", "--voice", tiny_voice, "--tokens-only", stdin=b"The small boat.\n")
    assert "made" in done.err


def test_a_dataset_is_uploaded_once_it_is_whole(
    run: Run, tiny_voice: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what could be made, and the exit code of what could not."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'spear-accel[parquet]'")
    sent = []

    def upload(folder: Path, *what: object) -> str:
        sent.append((sorted(path.name for path in folder.glob("data/*")), *what))
        return "https://hub.example/commit/1"

    monkeypatch.setattr("spear_accel.storage.hub.check_upload", lambda repository: None)
    monkeypatch.setattr("spear_accel.storage.hub.upload", upload)
    command = ("synth", text, "-o", tmp_path / "out", "--voice", tiny_voice, "--format", "parquet")
    done = run(*command, "--push-to-hub", "owner/lines", "--private")
    assert done.code == 2 and "uploaded: https://hub.example/commit/1" in done.err
    assert sent == [(["train-00000-of-00001.parquet"], "owner/lines", "dataset", ["README.md", "data/*.parquet"], True)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--push-to-hub", "owner/lines"), "--push-to-hub: --format ljspeech is not what the Hub shows"),
        (("--format", "parquet", "--push-to-hub", "lines"), "lines: no name of a repository"),
        (("--validation", "0.1"), "--validation: --format ljspeech has no splits"),
        (("--format", "parquet", "--validation", "1"), "must be a share from 0 to below 1"),
        (("--format", "parquet", "--validation", "nan"), "must be a share from 0 to below 1"),
    ],
)
def test_bad_requests_of_a_split_and_an_upload(
    run: Run, tiny_voice: Path, text: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in run("synth", text, "-o", tmp_path / "out", "--voice", tiny_voice, *arguments).error_line
    assert not (tmp_path / "out").exists()
