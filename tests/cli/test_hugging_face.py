"""Models of Hugging Face transformers from the command line: `import hugging-face`, then `decode`, `info`, `speak`."""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spear_accel import Voice
from tests.cli.conftest import Run
from tests.importers.hugging_face import VOCAB, build, save, texts, word_tokenizer


@pytest.fixture
def theirs() -> Any:
    return build("t5", seed=2)


@pytest.fixture
def folder(theirs: Any, tmp_path: Path) -> Path:
    theirs.generation_config.max_length = 24
    save(theirs, tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_text(word_tokenizer())
    return tmp_path / "theirs"


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_import_decode_speak_and_info(run: Run, theirs: Any, folder: Path, tmp_path: Path) -> None:
    voice, out = tmp_path / "voice", tmp_path / "out.jsonl"
    made = run("import", "auto", folder, "-o", voice)
    assert made.code == 0 and "3 + 2 layers, 47 semantic tokens" in made.err, made.err
    lines = [" ".join(f"w{token}" for token in row[:-1]) for row in texts()]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    done = run("decode", "--voice", voice, "-i", tmp_path / "lines.txt", "-o", out, "--as-text", "--dtype", "float32")
    assert done.code == 0, done.err
    for row, found in zip(texts(), records(out), strict=True):
        wanted = theirs.generate(torch.tensor([row]), do_sample=False)[0, 1:].tolist()
        assert found["tokens"] == [token for token in wanted if token != 1]
        assert found["text"] == " ".join(f"w{token}" for token in found["tokens"])
        assert found["stop_reason"] in ("eos", "max_length")
    again = run("decode", "--voice", voice, *lines[:2], "--dtype", "float32", "--method", "ngram")
    assert [json.loads(line)["tokens"] for line in again.out.splitlines()] == [
        found["tokens"] for found in records(out)[:2]
    ]
    spoken = ("speak", "--voice", voice, lines[0], "--tokens-out", tmp_path / "t.npy", "--dtype", "float32")
    assert run(*spoken, "--no-coverage").code == 0
    assert np.load(tmp_path / "t.npy").tolist() == records(out)[0]["tokens"]
    assert b"kernel" in run("info", voice).out


def test_a_repository_is_downloaded(run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def download(name: str, revision: str | None = None, allow_patterns: Any = None) -> str:
        asked.append((name, revision, "*.safetensors" in allow_patterns))
        return str(folder)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=download))
    assert run("import", "hugging-face", "owner/tiny@v1", "-o", tmp_path / "v").code == 0
    assert asked == [("owner/tiny", "v1", True)]
    assert Voice.load(tmp_path / "v").model.config.vocab == VOCAB


def test_what_decode_refuses(run: Run, folder: Path, tiny_voice: Path, tmp_path: Path) -> None:
    voice = tmp_path / "v"
    assert run("import", "hugging-face", folder, "-o", voice, "--text-tokenizer", "ids").code == 0
    assert "'x' is no text id" in run("decode", "--voice", voice, "x").err
    out = run("decode", "--voice", voice, "5 6", "x", "7")
    assert out.code == 2 and "1 of 3 texts were left out" in out.err
    assert [json.loads(line)["id"] for line in out.out.splitlines()] == ["1", "3"]
    assert "stand for sounds" in run("decode", "--voice", tiny_voice, "a", "--as-text").error_line
    assert "not both" in run("decode", "--voice", voice, "5", "-i", "f.txt").error_line
    assert "no such file" in run("decode", "--voice", voice, "-i", tmp_path / "f.txt").error_line.lower()
    gone = run("decode", "--voice", voice, "5", "-o", tmp_path / "none" / "f.jsonl")
    assert gone.code == 2 and not (tmp_path / "none").exists()
    too_long = run("decode", "--voice", voice, " ".join(["5"] * 5000))
    assert "exceed the model's" in too_long.err and too_long.code == 2


def test_the_kinds_of_folder_that_are_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    def refused(**changes: object) -> str:
        other = tmp_path / "other"
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(folder, other)
        config = json.loads((other / "config.json").read_text()) | changes
        (other / "config.json").write_text(json.dumps(config))
        line = run("import", "hugging-face", other, "-o", tmp_path / "v").error_line
        assert not (tmp_path / "v").exists()
        return line

    assert "several codebooks" in refused(model_type="musicgen", decoder={}, audio_encoder={"model_type": "encodec"})
    assert "no encoder-decoder" in refused(model_type="gpt2", is_encoder_decoder=False)
    assert "umt5" in refused(model_type="umt5")
    assert "activation 'mish'" in refused(feed_forward_proj="mish")
    assert "d_model is 'x'" in refused(d_model="x")
    assert "misshapen" in refused(d_ff=41)
    assert "missing" in refused(num_layers=4)
    assert "1000000002 layers" in refused(num_layers=1_000_000_000)
    (folder / "tokenizer.json").write_text("{}")
    assert "no tokenizer of Hugging Face" in run("import", "hugging-face", folder, "-o", tmp_path / "v").error_line
    (folder / "tokenizer.json").unlink()
    assert "--text-tokenizer" in run("import", "hugging-face", folder, "-o", tmp_path / "v").error_line
    (folder / "model.safetensors").unlink()
    assert (
        "no weights"
        in run("import", "hugging-face", folder, "-o", tmp_path / "v", "--text-tokenizer", "ids").error_line
    )
    assert "no such file" in run("import", "hugging-face", tmp_path / "nothing", "-o", tmp_path / "v").error_line
