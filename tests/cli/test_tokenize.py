"""`spear-accel tokenize` and `train`: the paths that need no trained speech tokenizer."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest
import torch

from spear_accel.cli import tokenize as verb


class FixedTokenizer:
    """Stands in for a speech tokenizer: one token per 320 samples."""

    class config:
        frame_rate = 50

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
    assert run("tokenize", recording, recording, "-o", output).code == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert lines == [{"audio_filepath": str(recording), "duration": 0.1, "frame_rate": 50, "tokens": [0] * 5}] * 2
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
