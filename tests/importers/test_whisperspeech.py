"""The layout of WhisperSpeech on random checkpoints; tests/parity holds what that package itself computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.importers import whisperspeech

SIZES = {
    "depth": 2, "n_head": 2, "head_width": 8, "ffn_mult": 2, "stoks_width": 12, "ttoks_width": None, "ttoks_len": 30,
    "stoks_len": 40, "ttoks_codes": 256, "stoks_codes": 25,
}  # fmt: skip


def package(**changes: Any) -> dict[str, Any]:
    sizes, tunables = {**SIZES, **changes}, {"padding_token_offset": 0}
    config = whisperspeech.config_of(sizes, tunables)
    torch.manual_seed(2)
    shapes = whisperspeech.expected_keys(sizes, tunables, config)
    return {
        "config": sizes, "tunables": tunables, "state_dict": {name: torch.randn(size) for name, size in shapes.items()}
    }  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save(package(), tmp_path / "t2s.model")
    return tmp_path / "t2s.model"


def test_sizes(path: Path) -> None:
    config = whisperspeech.load(path).config
    assert (config.encoder_layers, config.decoder_layers, config.dim) == (1, 3, 16)
    assert (config.semantic_units, config.eos_id, config.letters, config.languages) == (25, 25, 256, 99)
    assert config.max_positions - 64 == SIZES["stoks_len"] - 1  # type: ignore[operator]


def test_the_prefix_of_a_compiled_model_is_taken_off(path: Path, tmp_path: Path) -> None:
    held = package()
    held["state_dict"] = {f"_orig_mod.{name}": value for name, value in held["state_dict"].items()}
    torch.save(held, tmp_path / "compiled.model")
    wanted = whisperspeech.load(path).state_dict()
    found = whisperspeech.load(tmp_path / "compiled.model").state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("changes", [{"stoks_width": None}, {"stoks_width": 16}, {"ttoks_width": 4}])
def test_embeddings_may_be_factored_or_not(tmp_path: Path, changes: dict[str, Any]) -> None:
    held = package(**changes)
    torch.save(held, tmp_path / "t2s.model")
    model = whisperspeech.load(tmp_path / "t2s.model")
    table = held["state_dict"]
    for place, found in (("encoder", model.text_embedding.weight), ("embeddings", model.decoder.embedding.weight)):
        written = table[f"{place}.embedding.main.weight"]
        widen = table.get(f"{place}.embedding.emb_to_hidden.weight")
        wide = written if widen is None else written @ widen.t() + table[f"{place}.embedding.emb_to_hidden.bias"]
        assert torch.allclose(found[: len(wide)], wide, atol=1e-6)
    assert ("encoder.embedding.emb_to_hidden.weight" in table) == ("ttoks_width" in changes)


@torch.inference_mode()
def test_language_and_rate_matter_and_have_defaults(path: Path) -> None:
    model = whisperspeech.load(path)
    text, semantic = torch.tensor([[0, 72, 105]]), torch.tensor([[1, 2, 3]])
    plain = model(text, semantic)
    assert torch.equal(plain, model(text, semantic, language=0, cps=15.0))
    assert not torch.allclose(plain, model(text, semantic, language=3), atol=1e-3)
    assert not torch.allclose(plain, model(text, semantic, cps=3.0), atol=1e-3)
    both = model(text.expand(2, -1), semantic.expand(2, -1), language=torch.tensor([3, 0]))
    assert torch.allclose(both[1], plain[0], atol=1e-5)


def test_faults_are_named(tmp_path: Path, path: Path) -> None:
    with pytest.raises(UserError, match="--heads 3 contradicts the file, whose config says 2"):
        whisperspeech.load(path, heads=3)
    held = package()
    for name, fault, said in (
        ("config", {"depth": 2}, "its config lacks n_head"),
        ("state_dict", {"x": torch.zeros(1)}, "1 unexpected: x"),
        ("state_dict", None, "NoneType"),
    ):
        torch.save({**held, name: fault}, tmp_path / "bad.model")
        with pytest.raises(UserError, match=said):
            whisperspeech.load(tmp_path / "bad.model")
    torch.save({"a": 1}, tmp_path / "bad.model")
    with pytest.raises(UserError, match="lacks config and state_dict"):
        whisperspeech.load(tmp_path / "bad.model")
