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
from spear_accel.synth.parquet import COLUMNS, split_of
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
    if format in ("lhotse", "shar"):
        pytest.importorskip("lhotse", reason="lhotse is not installed: pip install 'spear-accel[lhotse]'")
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'spear-accel[parquet]'")


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
    with pytest.raises(
        UserError,
        match=r"--format kaldi: unknown; choose ljspeech, .*parquet, lhotse, shar or nemo",
    ):
        make_writer("kaldi", False, tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_only_some_formats_go_without_sound(format: str) -> None:
    if format in ("ljspeech", "webdataset"):
        check_format(format, tokens_only=True)
        return
    with pytest.raises(UserError, match=f"--format {format}: describes sound files; leave --tokens-only out"):
        check_format(format, tokens_only=True)


def test_datasets_reads_parquet_in_its_splits(tmp_path: Path) -> None:
    """By the folder alone: the card says what is where. Sounds are the very bytes of the WAV files."""
    datasets = usable_datasets()
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'spear-accel[parquet]'")
    words = [{"word": "$5", "start": 0.05, "end": 0.1}]
    writer = make_writer("parquet", False, tmp_path / "set", validation=0.5)
    records = {id: {**record(made(id)), **writer.write(made(id)), "words": words, "voice_hash": "0"} for id in IDS}
    writer.finish(list(records.values()))
    read = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    expected = {split: [id for id in IDS if split_of(id, 0.5) == split] for split in ("train", "validation")}
    assert {split: list(read[split]["id"]) for split in read} == expected and all(expected.values())
    for split in read:
        for row in read[split].cast_column("audio", datasets.Audio(decode=False)):
            one = records[row["id"]]
            assert row["audio"]["bytes"] == made(row["id"]).sound and row["audio"]["path"] == f"{row['id']}.wav"
            assert row["words"] in (words, {"word": ["$5"], "start": [0.05], "end": [0.1]})
            for name in ("text", "tokens", "seeds", "warnings", "duration", "utterances"):
                assert row[name] == one[name], name
        assert isinstance(read[split].features["audio"], datasets.Audio)


def test_every_field_of_a_record_is_a_column() -> None:
    fields = {"line", "audio_filepath", *record(made("line-00")), "coverage", "log_prob", "voice_hash", "words"}
    assert fields - {"line", "audio_filepath"} == set(COLUMNS)


def test_a_share_moves_no_other_line_between_splits() -> None:
    ids = [f"line-{number}" for number in range(2000)]
    for share in (0.0, 0.1, 0.5):
        found = sum(split_of(id, share) == "validation" for id in ids) / len(ids)
        assert abs(found - share) < 0.03
    assert all(split_of(id, 0.5) == "validation" for id in ids if split_of(id, 0.1) == "validation")


@pytest.mark.parametrize("format", ["webdataset", "parquet", "shar"])
def test_lines_that_are_made_later_come_to_their_places(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `--retry-failed` makes them, with more files than before."""
    available(format)
    module = "lhotse" if format == "shar" else format
    monkeypatch.setattr(f"spear_accel.synth.{module}.SHARD_SIZE", 2)
    late = ("line-00", "dev_2", "a+b@c")
    records = {id: record(made(id)) for id in IDS}
    for some in (tuple(id for id in IDS if id not in late), late):
        writer = make_writer(format, False, tmp_path / "a")
        for id in some:
            writer.write(made(id))
        writer.finish([records[id] for id in IDS if id in some or some is late])
    dataset(tmp_path / "b", format)
    found, expected = contents(tmp_path / "a"), contents(tmp_path / "b")
    own = ("manifest.jsonl", "failed.jsonl", "job.json")
    assert found == {name: data for name, data in expected.items() if name not in own}


def test_lhotse_reads_its_shar(lhotse: Any, tmp_path: Path) -> None:
    records = dataset(tmp_path, "shar")
    cuts = list(lhotse.CutSet.from_shar(in_dir=tmp_path / "shar"))
    assert [cut.id for cut in cuts] == list(IDS)
    for cut, one in zip(cuts, records, strict=True):
        [said] = cut.supervisions
        assert said.text == one["text"] and said.custom["tokens"] == one["tokens"]
        np.testing.assert_allclose(cut.load_audio()[0], made(one["id"]).waveform, atol=1e-4)


def test_the_manifest_of_nemo(tmp_path: Path) -> None:
    records = dataset(tmp_path, "nemo")
    rows = [json.loads(line) for line in (tmp_path / "nemo.json").read_text().splitlines()]
    for row, one in zip(rows, records, strict=True):
        assert row == {
            "audio_filepath": f"wavs/{one['id']}.wav", "duration": one["duration"], "text": one["text"],
            "normalized_text": one["normalized_text"], "speaker": "tiny", "id": one["id"],
        }  # fmt: skip
        assert soundfile.info(tmp_path / row["audio_filepath"]).duration == pytest.approx(row["duration"], abs=1e-4)


@pytest.mark.parametrize("format", ["audiofolder", "parquet", "lhotse", "shar", "nemo"])
def test_formats_of_sound_need_sound(format: str) -> None:
    with pytest.raises(UserError, match=f"--format {format}: describes sound files; leave --tokens-only out"):
        check_format(format, tokens_only=True)


@pytest.mark.parametrize(("format", "extra"), [("parquet", "parquet"), ("shar", "lhotse"), ("lhotse", "lhotse")])
def test_a_missing_package_is_named(format: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"install it with: pip install 'spear-accel\[{extra}\]'"):
        check_format(format, tokens_only=False)
