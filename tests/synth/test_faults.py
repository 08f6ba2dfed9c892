"""Faults of inputs and of places: each is named, none is passed over in silence, and none costs more than its line."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from spear_accel import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.synth import Line, SynthOptions, synthesise

ROOT = Path(__file__).parents[2]


@pytest.fixture
def options(ending_voice: Path) -> SynthOptions:
    return SynthOptions(voice=str(ending_voice), decode=DecodeOptions(temperature=1.0), batch_size=4, retries=9)


def records(folder: Path, name: str = "manifest.jsonl") -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("text", ["A boat \u4f60\u597d lay there.", "A boat lay there.\n\n\u4f60\u597d"])
def test_what_is_left_out_of_a_text_is_in_its_record_and_counted(
    options: SynthOptions, tmp_path: Path, text: str
) -> None:
    summary = synthesise([Line(1, "a", text), Line(2, "b", "A boat.")], [], tmp_path / "o", options)
    first, second = records(tmp_path / "o")
    assert len(first["warnings"]) == 1 and "left out 2 characters" in first["warnings"][0]  # type: ignore[arg-type, index]
    assert second["warnings"] == [] and summary.warned == 1


def test_the_given_normalised_text_is_read_and_the_raw_one_recorded(options: SynthOptions, tmp_path: Path) -> None:
    synthesise([Line(1, "a", "It cost $5.", spoken="It cost a boat.")], [], tmp_path / "o", options)
    (record,) = records(tmp_path / "o")
    assert (record["text"], record["normalized_text"]) == ("It cost $5.", "It cost a boat.")
    assert (tmp_path / "o" / "metadata.csv").read_text() == "a|It cost $5.|It cost a boat.\n"


def test_long_ids_are_whole_in_shards(options: SynthOptions, tmp_path: Path) -> None:
    id = "x" * 110
    synthesise([Line(1, id, "A boat.")], [], tmp_path / "o", replace(options, format="webdataset"))
    with tarfile.open(tmp_path / "o" / "shards" / "000000.tar") as shard:
        assert sorted(shard.getnames()) == [f"{id}.json", f"{id}.npy", f"{id}.wav"]


def test_fields_of_shards_have_one_type(options: SynthOptions, tmp_path: Path) -> None:
    lines = [Line(1, "a", "A boat."), Line(2, "b", "A boat \u4f60.")]
    synthesise(lines, [], tmp_path / "o", replace(options, format="webdataset"))
    with tarfile.open(tmp_path / "o" / "shards" / "000000.tar") as shard:
        rows = [json.load(shard.extractfile(f"{line.id}.json")) for line in lines]  # type: ignore[arg-type]
    assert [[type(value) for value in row.values()] for row in rows[:1]] == [
        [type(value) for value in row.values()] for row in rows[1:]
    ]
    assert rows[0]["warnings"] == "" and "left out" in rows[1]["warnings"]


def test_a_line_whose_voice_is_not_there_is_left_out_and_named(options: SynthOptions, tmp_path: Path) -> None:
    lines = [Line(1, "a", "A boat."), Line(2, "b", "A boat.", voice="nope"), Line(3, "c", "Snow fell.")]
    summary = synthesise(lines, [], tmp_path / "o", options)
    (failed,) = records(tmp_path / "o", "failed.jsonl")
    assert (failed["id"], failed["line"]) == ("b", 2) and "nope: no such voice" in str(failed["reason"])
    assert {record["id"] for record in records(tmp_path / "o")} == {"a", "c"} and summary.failed == 1


def test_nothing_is_made_where_no_voice_is_there(options: SynthOptions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2: nope: no such voice"):
        synthesise([Line(2, "b", "A boat.", voice="nope")], [], tmp_path / "o", options)
    with pytest.raises(UserError, match="nope: no such voice"):
        synthesise([Line(2, "b", "A boat.")], [], tmp_path / "o", replace(options, voice="nope"))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "banana"])
def test_a_missing_device_is_named_before_the_folder_is_made(
    options: SynthOptions, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=f"--device {device}"):
        synthesise([Line(1, "a", "A boat.")], [], tmp_path / "o", replace(options, device=device))
    assert not (tmp_path / "o").exists()


def test_two_lines_of_one_id_are_refused(options: SynthOptions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="have the id of another line, 'a' first"):
        synthesise([Line(1, "a", "A boat."), Line(2, "A", "Snow fell.")], [], tmp_path / "o", options)


@pytest.mark.parametrize("damage", ["\n", "{broken\n", '{"id": "a"}\n', '{"id": "a", "line": "one"}\n', "[1]\n"])
def test_a_damaged_manifest_is_named_with_its_line(options: SynthOptions, tmp_path: Path, damage: str) -> None:
    lines = [Line(1, "a", "A boat."), Line(2, "b", "Snow fell.")]
    synthesise(lines, [], tmp_path / "o", options)
    manifest = tmp_path / "o" / "manifest.jsonl"
    manifest.write_text(damage + manifest.read_text())
    with pytest.raises(UserError, match=r"manifest\.jsonl, line 1: "):
        synthesise(lines, [], tmp_path / "o", options)


def script(folder: Path, ending_voice: Path, guard: str) -> Path:
    path = folder / "script.py"
    path.write_text(
        "from pathlib import Path\n"
        "from spear_accel.synth import Line, SynthOptions, synthesise\n"
        f"{guard}"
        f"    options = SynthOptions(voice={str(ending_voice)!r}, workers=2, batch_size=1)\n"
        "    lines = [Line(n, f'l{n}', 'A small boat.') for n in range(1, 9)]\n"
        f"    synthesise(lines, [], Path({str(folder / 'o')!r}), options)\n",
        encoding="utf-8",
    )
    return path


def start(path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(path)], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def test_a_worker_that_imports_an_unguarded_script_ends_at_once(
    options: SynthOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit):
        synthesise([Line(1, "a", "A boat.")], [], tmp_path / "o", options)
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_so(ending_voice: Path, tmp_path: Path) -> None:
    running = start(script(tmp_path, ending_voice, "if True:\n"))
    _, error = running.communicate(timeout=240)
    assert running.returncode == 1 and error.count("Traceback") == 1
    assert "__main__" in error.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.0, 3.0])
def test_an_early_interrupt_leaves_no_traceback_of_a_worker(ending_voice: Path, tmp_path: Path, seconds: float) -> None:
    """Ctrl-C to the whole group while workers start."""
    running = start(script(tmp_path, ending_voice, "if __name__ == '__main__':\n"))
    while not (tmp_path / "o").exists() and running.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGINT)
    _, error = running.communicate(timeout=240)
    assert error.count("Traceback") <= 1 and "SpawnProcess" not in error and "resource_tracker" not in error
