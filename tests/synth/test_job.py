"""A job makes the same bytes however it is cut up, and is refused where it is not the same job."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spear_accel import DecodeOptions, Voice
from spear_accel.errors import UserError
from spear_accel.storage.lock import locked
from spear_accel.synth import Line, SynthOptions, SynthSummary, read_lines, synthesise, worker
from spear_accel.synth.lines import BadLine
from spear_accel.synth.manifest import Manifest
from spear_accel.synth.sample import as_row
from tests.synth.conftest import WORDS, contents


@pytest.fixture
def options(ending_voice: Path) -> SynthOptions:
    return SynthOptions(voice=str(ending_voice), decode=DecodeOptions(temperature=1.0), batch_size=4, retries=1)


def make(lines: Sequence[Line], folder: Path, options: SynthOptions, bad: Sequence[BadLine] = ()) -> SynthSummary:
    return synthesise(lines, bad, folder, options)


@pytest.fixture
def undisturbed(lines: list[Line], options: SynthOptions, tmp_path: Path) -> dict[str, bytes]:
    make(lines, tmp_path / "whole", options)
    return contents(tmp_path / "whole")


def test_the_dataset_is_whole(lines: list[Line], options: SynthOptions, tmp_path: Path, ending_voice: Path) -> None:
    summary = make(lines, tmp_path / "out", options)
    assert summary.complete and summary.made + summary.failed == len(lines) and summary.made > len(lines) // 2
    records = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [record["id"] for record in records] == sorted(record["id"] for record in records)
    metadata = (tmp_path / "out" / "metadata.csv").read_text().splitlines()
    assert [row.split("|")[0] for row in metadata] == [record["id"] for record in records]
    voice = Voice.load(ending_voice)
    for record in records:
        with wave.open(str(tmp_path / "out" / record["audio_filepath"])) as sound:
            assert sound.getframerate() == voice.sample_rate
            assert record["duration"] == round(sound.getnframes() / sound.getframerate(), 4)
        assert record["tokens"] and record["stop_reason"] == "eos" and record["voice_hash"]


def test_a_line_says_what_speaking_it_says(
    lines: list[Line], options: SynthOptions, tmp_path: Path, ending_voice: Path
) -> None:
    make(lines, tmp_path / "out", replace(options, retries=0))
    records = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    voice, by_id = Voice.load(ending_voice), {line.id: line for line in lines}
    for record in records[:4]:
        line = by_id[record["id"]]
        speech = voice.speak(line.text, options.decode, seed=line.seed or 0, speed=line.speed)
        assert speech.tokens.tolist() == record["tokens"]
        with wave.open(str(tmp_path / "out" / record["audio_filepath"])) as sound:
            assert sound.getnframes() == len(speech.waveform)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_batch_size_changes_no_byte(
    undisturbed: dict[str, bytes], lines: list[Line], options: SynthOptions, tmp_path: Path, batch_size: int
) -> None:
    make(lines, tmp_path / "out", replace(options, batch_size=batch_size))
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shards_joined_are_the_whole(
    undisturbed: dict[str, bytes], lines: list[Line], options: SynthOptions, tmp_path: Path, order: tuple[int, ...]
) -> None:
    summaries = [make(lines, tmp_path / "out", replace(options, shard=(number, 3))) for number in order]
    assert [summary.complete for summary in summaries] == [False, False, True]
    assert contents(tmp_path / "out") == undisturbed
    assert make(lines, tmp_path / "out", replace(options, shard=(2, 3))).made == 0


@pytest.mark.parametrize("format", ["ljspeech", "webdataset"])
def test_broken_off_after_any_line_it_goes_on(
    lines: list[Line], options: SynthOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    options = replace(options, format=format)
    make(lines, tmp_path / "whole", options)
    kept, add = 0, Manifest.add

    def stop_soon(manifest: Manifest, record: dict[str, Any]) -> None:
        nonlocal kept
        kept += 1
        if kept % 4 == 0:
            raise KeyboardInterrupt
        add(manifest, record)

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "add", stop_soon)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                make(lines, tmp_path / "out", options)
    manifest = tmp_path / "out" / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes() + b'{"id": "line-')
    make(lines, tmp_path / "out", options)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert make(lines, tmp_path / "out", options).made == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_webdataset_shards(lines: list[Line], options: SynthOptions, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("spear_accel.synth.webdataset.SHARD_SIZE", 10)
    make(lines, tmp_path / "out", replace(options, format="webdataset"))
    shards = sorted((tmp_path / "out" / "shards").iterdir())
    records = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    found = {}
    for shard in shards:
        with tarfile.open(shard) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert len(found) == 3 * len(records) and len(shards) == -(-len(records) // 10)
    for record in records:
        assert json.loads(found[f"{record['id']}.json"]) == as_row(record)
        assert np.load(io.BytesIO(found[f"{record['id']}.npy"])).tolist() == record["tokens"]
        assert found[f"{record['id']}.wav"].startswith(b"RIFF")


def test_tokens_only(lines: list[Line], options: SynthOptions, tmp_path: Path) -> None:
    make(lines, tmp_path / "out", replace(options, tokens_only=True))
    for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines():
        record = json.loads(line)
        with np.load(tmp_path / "out" / record["tokens_filepath"]) as held:
            assert held["tokens"].tolist() == record["tokens"]
    assert not (tmp_path / "out" / "wavs").exists()


def test_failures_carry_reasons_and_can_be_tried_again(
    lines: list[Line], options: SynthOptions, tmp_path: Path
) -> None:
    wordless, fault = Line(90, "wordless", "..."), BadLine(91, "bad", "is bad")
    short = replace(options, decode=DecodeOptions(max_tokens=1, temperature=1.0), retries=1)
    summary = make([*lines[:2], wordless], tmp_path / "out", short, [fault])
    failed = {r["id"]: r for r in map(json.loads, (tmp_path / "out" / "failed.jsonl").read_text().splitlines())}
    assert summary.failed == len(failed) and {"wordless", "bad"} <= set(failed)
    assert "can be read aloud" in failed["wordless"]["reason"] and failed["bad"]["reason"] == "is bad"
    cut = [record["reason"] for id, record in failed.items() if id.startswith("line")]
    assert all("max_length" in reason and "1 retries" in reason for reason in cut)
    assert failed["wordless"]["attempts"] == 0
    assert all(record["attempts"] == 2 for id, record in failed.items() if id.startswith("line"))


def test_of_two_lines_with_one_id_the_first_is_made(options: SynthOptions, tmp_path: Path) -> None:
    good, bad = read_lines(b"a|The small boat.\nb|She sells sea shells.\na|The old boat.\n", "f", "csv")
    summary = make(good, tmp_path / "out", replace(options, retries=9), bad)
    assert (summary.made, summary.failed) == (2, 1)
    assert make(good, tmp_path / "out", replace(options, retries=9), bad) == replace(summary, made=0, skipped=2)


@pytest.mark.parametrize("format", ["ljspeech", "webdataset"])
def test_failed_lines_are_tried_again_with_further_seeds(
    lines: list[Line], options: SynthOptions, tmp_path: Path, format: str
) -> None:
    """A tight bound makes some fail; each retry brings more of them, into the shards of before too."""
    tight = replace(options, decode=DecodeOptions(temperature=1.0, max_tokens=25), retries=0, format=format)
    first = make(lines, tmp_path / "out", tight)
    assert first.complete and 0 < first.failed < len(lines)
    failed, made = first.failed, first.made
    for _ in range(4):
        again = make(lines, tmp_path / "out", replace(tight, retry_failed=True))
        assert again.made + again.failed == failed and again.skipped == made
        failed, made = again.failed, made + again.made
    assert failed < first.failed
    ids = [json.loads(line)["id"] for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert len(ids) == made
    if format == "webdataset":
        with tarfile.open(tmp_path / "out" / "shards" / "000000.tar") as tar:
            assert [name for name in tar.getnames() if name.endswith(".wav")] == [f"{id}.wav" for id in ids]


def test_what_a_kill_left_half_written_is_swept_away_and_nothing_else(
    lines: list[Line], options: SynthOptions, tmp_path: Path
) -> None:
    make(lines[:3], tmp_path / "out", options)
    ours, theirs = (tmp_path / "out" / "wavs" / name for name in (".line-00.wav.x1.spear-part", ".download.part"))
    ours.write_bytes(b"half")
    theirs.write_bytes(b"of another program")
    make(lines[:3], tmp_path / "out", options)
    assert not ours.exists() and theirs.read_bytes() == b"of another program"


@pytest.mark.parametrize("format", ["ljspeech", "webdataset"])
def test_a_folder_of_somebody_else_is_refused_and_not_touched(
    lines: list[Line], options: SynthOptions, tmp_path: Path, format: str
) -> None:
    """Recordings in LJSpeech layout, whose names are those that the job would write."""
    (tmp_path / "LJ" / "wavs").mkdir(parents=True)
    (tmp_path / "LJ" / "wavs" / f"{lines[0].id}.wav").write_bytes(b"a real recording")
    (tmp_path / "LJ" / "metadata.csv").write_text(f"{lines[0].id}|raw|normalised\n")
    before = contents(tmp_path / "LJ")
    with pytest.raises(UserError, match=r"LJ: holds 'metadata\.csv' and no job of synth; .* Choose a new -o FOLDER"):
        make(lines, tmp_path / "LJ", replace(options, format=format))
    assert contents(tmp_path / "LJ") == before and not (tmp_path / "LJ" / "job.json").exists()


def test_two_runs_at_once_are_refused_and_a_lock_left_behind_is_not_in_the_way(
    lines: list[Line], options: SynthOptions, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").write_bytes(b"")
    with (
        locked(out / ".lock", "busy"),
        pytest.raises(UserError, match="another run is making this; wait for its end, or choose another -o"),
    ):
        make(lines, out, options)
    (out / ".lock").write_bytes(b"")
    make(lines, out, options)
    assert contents(out) == undisturbed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decode": DecodeOptions(temperature=0.5)}, "options"),
        ({"tokens_only": True}, "tokens_only"),
        ({"format": "webdataset"}, "format"),
        ({"shard": (1, 2)}, "shards"),
    ],
)
def test_another_job_in_the_folder_is_refused(
    lines: list[Line], options: SynthOptions, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    make(lines[:3], tmp_path / "out", options)
    with pytest.raises(UserError, match=f"another {said}"):
        make(lines[:3], tmp_path / "out", replace(options, **change))
    with pytest.raises(UserError, match="another input"):
        make(lines[:2], tmp_path / "out", options)


def test_a_fault_behind_the_queue_comes_to_the_front(
    lines: list[Line], options: SynthOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise UserError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_record", full)
        with pytest.raises(UserError, match="No space left"):
            make(lines, tmp_path / "out", options)
    assert make(lines, tmp_path / "out", options).complete


@pytest.mark.slow
def test_killed_twenty_times_the_result_is_the_same(ending_voice: Path, tmp_path: Path) -> None:
    """SIGKILL at random moments of a job of 300 lines."""
    text = tmp_path / "lines.txt"
    text.write_text("\n".join(" ".join(WORDS[n % 9 : n % 9 + 2 + n % 5]) + f" {n}." for n in range(300)))
    random = np.random.default_rng(0)

    def command(folder: str) -> list[str]:
        start = "from spear_accel.cli.main import run; raise SystemExit(run())"
        return [sys.executable, "-c", start, "synth", str(text), "-o", str(tmp_path / folder),
                "--voice", str(ending_voice), "--batch-size", "8"]  # fmt: skip

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    subprocess.run(command("whole"), env=environment, check=False, capture_output=True)
    whole = time.monotonic() - started
    for _ in range(20):
        process = subprocess.Popen(command("out"), env=environment, stderr=subprocess.DEVNULL)
        time.sleep(float(random.uniform(0.3, 1.0)) * whole / 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command("out"), env=environment, check=False, capture_output=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert len(contents(tmp_path / "out")) > 200
