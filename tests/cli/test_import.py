"""`spear-accel import` and `export` as a user runs them."""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.importers import spear_tts_pytorch
from spear_accel.voice.folder import open_voice
from tests.cli.conftest import Run
from tests.importers.conftest import spear_table
from tests.importers.test_whisperspeech import package


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save({"model": spear_table()}, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_a_voice_of_ids_speaks_tokens_and_goes_back(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    voice, tokens, again = tmp_path / "voice", tmp_path / "t.npy", tmp_path / "again.pt"
    made = run("import", "spear-tts-pytorch", checkpoint, "-o", voice, "--text-tokenizer", "ids")
    assert made.code == 0 and "2 layers" in made.err, made.err
    assert run("speak", "--voice", voice, "4 5 6", "--tokens-out", tokens, "--temperature", "0").code == 0
    loaded = Voice.load(voice)
    expected = loaded.decode_ids([[4, 5, 6]], DecodeOptions(method="autoregressive", temperature=0.0)).tokens[0]
    assert np.array_equal(np.load(tokens), expected.numpy())
    assert run("info", voice).code == 0
    assert run("export", "spear-tts-pytorch", voice, "-o", again).code == 0
    original, found = torch.load(checkpoint, weights_only=True), torch.load(again, weights_only=True)
    assert set(found["model"]) == set(original["model"])
    assert all(torch.equal(found["model"][name], value) for name, value in original["model"].items())


def test_the_exit_can_be_placed_by_hand(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    command = ("import", "spear-tts-pytorch", checkpoint, "-o", tmp_path / "v", "--text-tokenizer", "ids")
    assert run(*command, "--early-exit-layer", "1").code == 0
    assert "early-exit" in Voice.load(tmp_path / "v").methods
    assert "choose 1 to 1" in run(*command[:4], tmp_path / "w", *command[5:], "--early-exit-layer", "7").error_line


def test_a_whisperspeech_voice_reads_bytes(run: Run, tmp_path: Path) -> None:
    torch.save(package(), tmp_path / "t2s.model")
    done = run(
        "import", "whisperspeech", tmp_path / "t2s.model", "-o", tmp_path / "v", "--language", "pl", "--cps", "9"
    )
    assert done.code == 0, done.err
    voice = Voice.load(tmp_path / "v")
    config = voice.model.config
    assert voice.tokenizer.encode("ż") == [config.language_id(10), config.rate_id(9.0), *"ż".encode()]
    assert voice.card.frame_rate == 25
    result = voice.text_to_semantic(["Zażółć 7"], DecodeOptions(max_tokens=5, loop_retries=0))
    assert 0 < len(result.tokens[0]) <= 5


def test_a_voice_without_sound_says_so(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    run("import", "spear-tts-pytorch", checkpoint, "-o", tmp_path / "v", "--text-tokenizer", "ids")
    for extra in ((), ("-o", tmp_path / "a.wav", "--tokens-out", tmp_path / "t.npy")):
        assert "--tokens-out" in run("speak", "--voice", tmp_path / "v", "4 5", *extra).error_line
    assert not (tmp_path / "a.wav").exists() and not (tmp_path / "t.npy").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "pass --text-tokenizer FILE"),
        (("--text-tokenizer", "none.model"), "none.model"),
        (("--text-tokenizer", "bytes"), "makes 256 ids, the model reads 20"),
        (("--text-tokenizer", "ids", "--heads", "8"), "contradicted"),
        (("--text-tokenizer", "ids", "--cps", "3"), "--cps: the layout spear-tts-pytorch does not use it"),
        (("--text-tokenizer", "ids", "--frame-rate", "0"), "--frame-rate"),
        (("--text-tokenizer", "ids", "--acoustic", "nobody"), "nobody: no such voice"),
        (("--text-tokenizer", "ids", "--acoustic", "kathleen"), None),
    ],
)
def test_bad_requests_leave_nothing(
    run: Run, checkpoint: Path, tmp_path: Path, options: tuple[str, ...], said: str | None
) -> None:
    done = run("import", "spear-tts-pytorch", checkpoint, "-o", tmp_path / "v", *options)
    if said is None:
        assert done.code == 0 and Voice.load(tmp_path / "v").sample_rate == 24_000
        return
    assert said in done.error_line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt"]


def test_a_folder_that_is_taken_is_kept(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    command = ("import", "spear-tts-pytorch", checkpoint, "-o", tmp_path / "v", "--text-tokenizer", "ids")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "mine.txt").write_text("keep")
    assert "is there already" in run(*command).error_line
    assert (tmp_path / "v" / "mine.txt").read_text() == "keep"


def test_another_layout_is_named(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    assert "WhisperSpeech" in run("import", "whisperspeech", checkpoint, "-o", tmp_path / "v").error_line
    torch.save(package(), tmp_path / "t2s.model")
    line = run("import", "spear-tts-pytorch", tmp_path / "t2s.model", "-o", tmp_path / "v").error_line
    assert "missing: semantic_token_emb.weight" in line and "unexpected: " in line


def test_a_voice_that_does_not_fit_is_not_exported(run: Run, tmp_path: Path) -> None:
    assert "pace" in run("export", "spear-tts-pytorch", "kathleen", "-o", tmp_path / "k.pt").error_line
    assert not (tmp_path / "k.pt").exists()


def test_the_hub(run: Run, tiny_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository is downloaded at a revision, and its commit is written into the copy's card."""
    commit, asked = "0123abcd", []
    snapshot = Path(shutil.copytree(tiny_voice, tmp_path / "snapshots" / commit))

    def download(name: str, revision: str | None = None, allow_patterns: object = None) -> str:
        asked.append((name, revision))
        return str(snapshot)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=download))
    assert run("import", "hub", "owner/tiny@main", "-o", tmp_path / "v").code == 0
    assert asked == [("owner/tiny", "main")]
    assert json.loads((tmp_path / "v" / "voice.json").read_text())["origin"] == f"owner/tiny@{commit}"
    assert Voice.from_pretrained("owner/tiny").card.origin == f"owner/tiny@{commit}"
    assert Voice.from_pretrained(tiny_voice).card.origin is None
    open_voice(tmp_path / "v").verify()


def test_a_layout_is_found(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    assert run("import", "auto", checkpoint, "-o", tmp_path / "v", "--text-tokenizer", "ids").code == 0


def test_the_hub_fails_in_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, revision: str | None = None, allow_patterns: object = None) -> str:
        raise OSError("no network\nmore")

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=download))
    assert "no network" in run("import", "hub", "owner/tiny", "-o", tmp_path / "v").error_line
    assert "leave out every" in run("import", "hub", "owner/tiny", "-o", tmp_path / "v", "--cps", "3").error_line
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "spear-accel[hub]" in run("import", "hub", "owner/tiny", "-o", tmp_path / "v").error_line


def test_loaded_as_the_design_says(checkpoint: Path) -> None:
    model = spear_tts_pytorch.load(checkpoint, heads=None, head_dim=None)
    logits = model.forward(torch.tensor([[3, 4, 20]]), torch.tensor([[1, 2]]))
    assert logits.shape == (1, 3, 31)
