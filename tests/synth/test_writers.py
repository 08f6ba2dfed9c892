"""Formats of a dataset: what other packages read of it, and that its bytes follow from the records alone."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spear_accel.errors import UserError
from spear_accel.synth import writers
from spear_accel.synth.sample import Sample, as_row
from spear_accel.synth.writers import FORMATS, check_format, make_writer
from tests.synth.conftest import contents

RATE = 24_000
# Names in which a reader could see the name of a split.
IDS = ("line-00", "test-1", "dev_2", "train.3", "a+b@c")


@pytest.fixture
def lhotse() -> Any:
    return pytest.importorskip("lhotse", reason="lhotse is not installed: pip install 'spear-accel[lhotse]'")


def usable_datasets() -> Any:
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed: pip install datasets")
    if int(datasets.__version__.split(".")[0]) >= 4:
        pytest.importorskip(
            "torchcodec.encoders", reason="datasets 4 and later needs torchcodec", exc_type=(ImportError, RuntimeError)
        )
    return datasets


def made(id: str) -> Sample:
    number = IDS.index(id)
    samples = np.sin(np.arange(4_801 + 500 * number) * 0.05).astype(np.float32) / 2
    return Sample(id, np.arange(3 + number), samples, RATE)


def record(one: Sample) -> dict[str, Any]:
    """As a job keeps it, without what the writer adds."""
    assert one.waveform is not None
    return {
        "id": one.id, "line": IDS.index(one.id) + 1, "text": f"Größe {one.id} | \"5\"", "normalized_text": "five",
        "duration": round(len(one.waveform) / RATE, 4), "tokens": one.tokens.tolist(), "seeds": [2**62, 1],
        "speed": 1.0, "stop_reason": "eos", "retries": 0, "utterances": 2, "voice": "tiny",
        "warnings": ["too long", "odd"] if one.id == IDS[-1] else [],
    }  # fmt: skip


def dataset(folder: Path, format: str, order: tuple[str, ...] = IDS) -> list[dict[str, Any]]:
    """Lines made in some order, finished in that of the input; beside them what a job leaves in the folder."""
    writer = make_writer(format, False, folder)
    written = {id: {**record(made(id)), **writer.write(made(id))} for id in order}
    records = [written[id] for id in IDS]
    for name in ("manifest.jsonl", "failed.jsonl"):
        (folder / name).write_text("".join(json.dumps(one) + "\n" for one in records))
    (folder / "job.json").write_text("{}")
    writer.finish(records)
    return records


def available(format: str) -> None:
    if format == "lhotse":
        pytest.importorskip("lhotse", reason="lhotse is not installed: pip install 'spear-accel[lhotse]'")


@pytest.mark.parametrize("format", FORMATS)
def test_the_order_of_making_changes_no_byte(format: str, tmp_path: Path) -> None:
    available(format)
    dataset(tmp_path / "a", format)
    dataset(tmp_path / "b", format, IDS[::-1])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("format", FORMATS)
def test_finishing_again_changes_no_byte(format: str, tmp_path: Path) -> None:
    """As a run does that finds nothing left to make."""
    available(format)
    records = dataset(tmp_path, format)
    before = contents(tmp_path)
    make_writer(format, False, tmp_path).finish(records)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("format", ["ljspeech", "audiofolder"])
def test_a_line_that_cannot_be_written_leaves_nothing(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    writer = make_writer(format, False, tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        writer.write(made("line-00"))
    assert not contents(tmp_path)


def test_audiofolder_metadata(tmp_path: Path) -> None:
    records = dataset(tmp_path, "audiofolder")
    rows = [json.loads(line) for line in (tmp_path / "train" / "metadata.jsonl").read_text().splitlines()]
    for row, one in zip(rows, records, strict=True):
        name = row.pop("file_name")
        assert (tmp_path / "train" / name).is_file() and one.pop("audio_filepath") == f"train/{name}"
        assert row == one | {"warnings": "; ".join(one["warnings"])}


def test_datasets_reads_an_audiofolder(tmp_path: Path) -> None:
    """All lines in one split, with text and tokens, though ids and folder have names of other splits in them."""
    datasets = usable_datasets()
    folder = tmp_path / "test"
    records = dataset(folder, "audiofolder")
    read = datasets.load_dataset("audiofolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    assert list(read) == ["train"]
    rows = list(read["train"].cast_column("audio", datasets.Audio(decode=False)))
    assert [row["text"] for row in rows] == [one["text"] for one in records]
    for row, one in zip(rows, records, strict=True):
        assert Path(row["audio"]["path"]).samefile(folder / one["audio_filepath"])
        assert row["warnings"] == "; ".join(one["warnings"])
        for name in ("id", "tokens", "seeds", "duration"):
            assert row[name] == one[name]


def test_word_times_are_alignments_of_cuts(tmp_path: Path, lhotse: Any) -> None:
    words = [{"word": "$5", "start": 0.05, "end": 0.1}, {"word": "or", "start": 0.1, "end": 0.18}]
    writer = make_writer("lhotse", False, tmp_path)
    records = [{**record(made(id)), **writer.write(made(id)), "words": words} for id in IDS]
    writer.finish(records)
    for cut in lhotse.CutSet.from_file(tmp_path / "cuts.jsonl.gz"):
        [said] = cut.supervisions
        assert "words" not in said.custom
        found = [(one.symbol, one.start, round(one.end, 3)) for one in said.alignment["word"]]
        assert found == [("$5", 0.05, 0.1), ("or", 0.1, 0.18)]


def test_datasets_reads_words_of_an_audiofolder(tmp_path: Path) -> None:
    datasets = usable_datasets()
    words = [{"word": "$5", "start": 0.05, "end": 0.1}]
    writer = make_writer("audiofolder", False, tmp_path / "set")
    writer.finish([{**record(made(id)), **writer.write(made(id)), "words": words} for id in IDS])
    read = datasets.load_dataset("audiofolder", data_dir=str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert all(row["words"] == words for row in read["train"].remove_columns("audio"))


def test_webdataset_reads_its_shards(tmp_path: Path) -> None:
    """A sample for every line, whatever dots are in its id."""
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed: pip install webdataset")
    records = dataset(tmp_path, "webdataset")
    shards = [str(path) for path in sorted((tmp_path / "shards").glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    for sample, one in zip(samples, records, strict=True):
        assert sample["json"] == as_row(one)
        assert sample["npy"].tolist() == one["tokens"]
        sound, rate = soundfile.read(io.BytesIO(sample["wav"]), dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(sound, made(one["id"]).waveform, atol=1e-4)


def test_lhotse_reads_its_cuts(lhotse: Any, tmp_path: Path) -> None:
    records = dataset(tmp_path, "lhotse")
    cuts = lhotse.CutSet.from_file(tmp_path / "cuts.jsonl.gz").with_recording_path_prefix(tmp_path)
    lhotse.validate(cuts.to_eager(), read_data=True)
    for cut, one in zip(cuts, records, strict=True):
        samples = made(one["id"]).waveform
        assert samples is not None
        [said] = cut.supervisions
        assert cut.id == cut.recording_id == one["id"]
        assert (cut.sampling_rate, cut.num_samples) == (RATE, len(samples))
        assert (said.text, said.speaker, said.tokens, said.seeds) == (one["text"], "tiny", one["tokens"], one["seeds"])
        assert cut.load_audio().shape == (1, len(samples))
        np.testing.assert_allclose(cut.load_audio()[0], samples, atol=1e-4)


def test_lhotse_paths_are_relative(lhotse: Any, tmp_path: Path) -> None:
    dataset(tmp_path, "lhotse")
    cuts = list(lhotse.CutSet.from_file(tmp_path / "cuts.jsonl.gz"))
    assert [cut.recording.sources[0].source for cut in cuts] == [f"wavs/{id}.wav" for id in IDS]


def test_without_lhotse_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package lhotse; .* pip install 'spear-accel\[lhotse\]'"):
        make_writer("lhotse", False, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_names_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--format kaldi: unknown; choose ljspeech, webdataset, audiofolder or lhotse"):
        make_writer("kaldi", False, tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_only_some_formats_go_without_sound(format: str) -> None:
    if format in ("ljspeech", "webdataset"):
        check_format(format, tokens_only=True)
        return
    with pytest.raises(UserError, match=f"--format {format}: describes sound files; leave --tokens-only out"):
        check_format(format, tokens_only=True)
