"""`spear-accel tokenize` and `train`: the paths that need no trained speech tokenizer."""

from __future__ import annotations

import json
import shutil
import wave
from pathlib import Path

import pytest
import torch

from spear_accel.audio.kmeans import Codebook
from spear_accel.audio.tokenizer import SpeechTokenizerConfig
from spear_accel.cli import tokenize as verb
from spear_accel.storage.json_lines import read_manifest


class FixedTokenizer:
    """Stands in for a speech tokenizer: one token per 320 samples."""

    config = SpeechTokenizerConfig(layer=1, units=4, frame_rate=50)
    quantiser = Codebook(torch.zeros(2), torch.ones(2), torch.zeros(4, 2))

    def tokenize(self, waveforms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.zeros(len(waveform) // 320, dtype=torch.int64) for waveform in waveforms]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(b"\x01\x00" * 1600)
    return path


def test_one_json_line_per_recording(run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "_load", lambda voice: FixedTokenizer())
    output = tmp_path / "tokens.jsonl"
    done = run("tokenize", recording, recording, "-o", output)
    assert done.code == 0 and "2 recordings have the id a" in done.err
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    record = {"id": "a", "audio_filepath": str(recording), "duration": 0.1, "frame_rate": 50, "tokens": [0] * 5}
    assert lines == [record] * 2
    assert run("tokenize", recording, "-o", "-").out.decode() == output.read_text().splitlines()[0] + "\n"


@pytest.mark.parametrize(("content", "fault"), [(b"not audio", "not an audio file"), (None, "no such file")])
def test_bad_recordings_are_named_and_nothing_is_written(
    run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, fault: str
) -> None:
    monkeypatch.setattr(verb, "_load", lambda voice: FixedTokenizer())
    bad, output = tmp_path / "bad.wav", tmp_path / "tokens.jsonl"
    if content is not None:
        bad.write_bytes(content)
    line = run("tokenize", recording, bad, "-o", output).error_line
    assert "bad.wav" in line and fault in line
    assert not output.exists()


def test_a_recording_without_samples_is_named(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "_load", lambda voice: FixedTokenizer())
    path = tmp_path / "empty.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
    assert "empty.wav: holds no samples" in run("tokenize", path).error_line


@pytest.fixture
def corpus(tmp_path: Path, recording: Path) -> Path:
    """Two recordings that can be used, one that cannot, and a line without a recording."""
    wavs = tmp_path / "corpus" / "wavs"
    wavs.mkdir(parents=True)
    for name in ("a1", "a2"):
        shutil.copy(recording, wavs / f"{name}.wav")
    (wavs / "a3.wav").write_bytes(b"not audio")
    lines = ("a1|Yes|Yes.", "a2|Dr. No|Dr. No.", "a3|x|Broken.", "a4|x|Gone.")
    (wavs.parent / "metadata.csv").write_text("\n".join(lines))
    return wavs.parent


def test_a_corpus_becomes_what_train_reads(run, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "_load", lambda voice: FixedTokenizer())
    output = tmp_path / "tokens.jsonl"
    done = run("tokenize", "--corpus", corpus, "-o", output)
    assert done.code == 0, done.err
    for said in ("a3.wav: not an audio file", "line 4: no recording a4", "2 recordings, 2 left out", "text_eos_id: 37"):
        assert said in done.err, done.err
    assert done.err.count(" left out\n") == 1
    records = read_manifest(output, ("id", "text", "text_ids", "tokens"))
    assert [record["id"] for record in records] == ["a1", "a2"]
    settings = {
        "output": str(tmp_path / "model"),
        "data": {"sources": [{"manifest": str(output)}], "validation": str(output)},
        "model": {"text_vocab_size": 38, "text_eos_id": 37, "text_pad_id": 0, "semantic_units": 4, "dim": 32,
                  "heads": 2, "kv_heads": 1, "head_dim": 16, "encoder_layers": 1, "decoder_layers": 1, "ff_inner": 32},
        "loop": {"steps": 1, "learning_rate": 0.001},
    }  # fmt: skip
    (tmp_path / "train.yaml").write_text(json.dumps(settings))
    trained = run("train", "text-to-semantic", tmp_path / "train.yaml")
    assert trained.code == 0 and json.loads(trained.out)["loss"] > 0, trained.err


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ((), "give recordings, or a folder with --corpus"),
        (("a.wav", "--corpus", "x"), "not both"),
        (("a.wav", "--text-tokenizer", "t.model"), "--text-tokenizer: only a corpus has texts"),
        (("--corpus", "x"), "name the file to write with -o"),
        (("--corpus", "x", "-o", "never.jsonl"), "metadata.csv: no such file"),
    ],
)
def test_mistakes_in_tokenize_get_one_line(run, options: tuple[str, ...], fault: str) -> None:
    assert fault in run("tokenize", *options).error_line


def test_a_voice_without_speech_tokenizer_says_so(run, recording: Path, shared_voice: Path) -> None:
    assert "has no speech_tokenizer" in run("tokenize", recording, "--voice", shared_voice).error_line


def test_an_unwritable_output_is_found_out_first(run, recording: Path) -> None:
    assert "no such folder" in run("tokenize", recording, "-o", "/nowhere/tokens.jsonl").error_line


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["train", "acoustic", "missing.yaml"], "missing.yaml: no such file"),
        (["train", "everything", "missing.yaml"], "everything"),
        (["train", "acoustic"], "config"),
    ],
)
def test_mistakes_in_train_get_one_line(run, arguments: list[str], fault: str) -> None:
    assert fault in run(*arguments).error_line
