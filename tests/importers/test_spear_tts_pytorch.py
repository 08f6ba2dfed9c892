"""The layout of spear-tts-pytorch on random checkpoints; tests/parity holds what that package itself computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.importers import spear_tts_pytorch
from spear_accel.importers.exit_layer import find_exit_layer
from spear_accel.importers.spear_tts_pytorch_export import export, save
from spear_accel.importers.spear_tts_pytorch_keys import PeerShape
from spear_accel.model import TextToSemantic
from tests.importers.conftest import SHAPE, spear_table
from tests.model.conftest import lively, tiny_config


def test_sizes_follow_from_shapes(checkpoint: Path) -> None:
    config = spear_tts_pytorch.load(checkpoint).config
    assert (config.heads, config.kv_heads, config.head_dim, config.cross_kv_heads) == (4, 2, 8, 4)
    assert (config.encoder_layers, config.decoder_layers, config.ff_inner) == (1, 2, 40)
    assert (config.semantic_units, config.eos_id, config.text_eos_id, config.text_vocab_size) == (30, 30, 20, 21)


@pytest.mark.parametrize("shape", [SHAPE, replace(SHAPE, kv_heads=4, exit_inner=0), replace(SHAPE, kv_heads=1)])
def test_there_and_back_bit_for_bit(tmp_path: Path, shape: PeerShape) -> None:
    table, path = spear_table(shape), tmp_path / "again.pt"
    torch.save(table, tmp_path / "model.pt")
    model = spear_tts_pytorch.load(tmp_path / "model.pt")
    save(model, path, spear_tts_pytorch.load_early_exit(tmp_path / "model.pt", 1))
    found = torch.load(path, weights_only=True)["model"]
    assert set(found) == set(table)
    assert all(torch.equal(found[name], value) for name, value in table.items())


@pytest.mark.parametrize("wrapped", ["state_dict", "model"])
def test_packages_around_the_state_dict(tmp_path: Path, wrapped: str) -> None:
    table = spear_table()
    torch.save({wrapped: table}, tmp_path / "model.pt")
    model = spear_tts_pytorch.load(tmp_path / "model.pt")
    assert torch.equal(model.text_embedding.weight, table["token_emb.text.weight"])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_compiled_and_parallel_wrappers_are_taken_off(tmp_path: Path, prefix: str) -> None:
    table = spear_table()
    torch.save({"model": {f"{prefix}{name}": value for name, value in table.items()}}, tmp_path / "model.pt")
    model = spear_tts_pytorch.load(tmp_path / "model.pt")
    assert torch.equal(model.text_embedding.weight, table["token_emb.text.weight"])


def test_a_compiled_part_of_a_model_is_read_as_well(tmp_path: Path) -> None:
    table = spear_table()
    inside = {name.replace("target_transformer.", "target_transformer._orig_mod."): v for name, v in table.items()}
    assert inside.keys() != table.keys()
    torch.save(inside, tmp_path / "model.pt")
    torch.save(table, tmp_path / "plain.pt")
    found, wanted = (spear_tts_pytorch.load(tmp_path / name).state_dict() for name in ("model.pt", "plain.pt"))
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_aliases_may_be_missing_but_not_differ(tmp_path: Path) -> None:
    table = spear_table()
    path = tmp_path / "model.pt"
    torch.save({name: value for name, value in table.items() if not name.startswith("to_logits")}, path)
    spear_tts_pytorch.load(path)
    torch.save({**table, "to_logits.speech.weight": table["to_logits.speech.weight"] + 1}, path)
    with pytest.raises(UserError, match=r"semantic_token_emb\.weight and .* differ"):
        spear_tts_pytorch.load(path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"heads": 8}, r"--heads 8, with 32 rows in to_q\.0\.weight, means heads of width 4"),
        ({"heads": 5}, "--heads 5 does not divide the 32 rows"),
        ({"head_dim": 16}, "--head-dim 16 means heads of width 16"),
    ],
)
def test_sizes_that_contradict_the_file(checkpoint: Path, given: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        spear_tts_pytorch.load(checkpoint, **given)
    spear_tts_pytorch.load(checkpoint, heads=4, head_dim=8)


def test_all_differences_are_named_at_once(tmp_path: Path) -> None:
    table = spear_table()
    del table["target_transformer.layers.0.1.to_out.weight"], table["target_transformer.layers.1.1.to_out.weight"]
    table |= {"extra": torch.zeros(1), "start_token.speech": torch.zeros(5)}
    torch.save(table, tmp_path / "model.pt")
    with pytest.raises(UserError) as caught:
        spear_tts_pytorch.load(tmp_path / "model.pt")
    line = str(caught.value)
    assert "2 missing: target_transformer.layers.{0,1}.1.to_out.weight" in line
    assert "1 unexpected: extra" in line
    assert "start_token.speech is [5], not [24]" in line


def test_other_rotary_frequencies_are_refused(tmp_path: Path) -> None:
    table = spear_table()
    table["source_transformer.layers.0.0.rotary_emb.freqs"] = torch.ones(4)
    torch.save(table, tmp_path / "model.pt")
    with pytest.raises(UserError, match="not the frequencies"):
        spear_tts_pytorch.load(tmp_path / "model.pt")


@torch.inference_mode()
def test_a_model_of_our_own_says_the_same_in_the_layout(tmp_path: Path) -> None:
    """Scale and missing biases are folded away."""
    model = lively(tiny_config(kv_heads=4, text_pad_id=0, text_eos_id=29))
    save(model, tmp_path / "model.pt")
    again = spear_tts_pytorch.load(tmp_path / "model.pt")
    text, semantic = torch.tensor([[5, 9, 3, 29]]), torch.randint(0, 20, (1, 9))
    assert torch.allclose(again(text, semantic), model(text, semantic), atol=2e-4)


@pytest.mark.parametrize(
    ("changes", "said"), [({"pace": 2.0}, "pace"), ({"null_kv": False}, "no null key"), ({"norm": "layer"}, "norm")]
)
def test_what_the_layout_cannot_say_is_named(changes: dict[str, object], said: str) -> None:
    config = tiny_config(kv_heads=4, text_pad_id=0, text_eos_id=29, **changes)
    with pytest.raises(UserError, match=f"no place for: .*{said}"):
        export(TextToSemantic(config))


@torch.inference_mode()
def test_speech_to_text_is_kept(checkpoint: Path) -> None:
    model = spear_tts_pytorch.load(checkpoint)
    table = spear_table()
    memory = model.encode_semantic(torch.tensor([[3, 4, 5, model.config.eos_id]]))
    logits = model.transcribe(memory, torch.tensor([[7, 8]]))
    assert logits.shape == (1, 3, 21)
    assert model.text_start is not None and torch.equal(model.text_start, table["start_token.text"])
    # The first word depends on the start vector and on the speech, not on what follows.
    assert torch.allclose(model.transcribe(memory, torch.tensor([[9, 9]]))[:, 0], logits[:, 0], atol=1e-6)
    other = model.encode_semantic(torch.tensor([[6, 6, 6, model.config.eos_id]]))
    assert not torch.allclose(model.transcribe(other, torch.tensor([[7, 8]]))[:, 0], logits[:, 0], atol=1e-3)


def test_the_exit_layer_is_found_where_the_exit_is_right() -> None:
    """A head that finishes what layer 3 of 4 began, by being the model's own ending, belongs there."""
    from spear_accel.heads import EarlyExit, EarlyExitConfig

    model = lively(tiny_config())
    with torch.no_grad():
        # The last layer changes nothing, so layer 3 already says all.
        for name in ("attention", "cross", "feed_forward"):
            getattr(model.decoder.layers[3], name).out.weight.zero_()

    def behind(layer: int) -> EarlyExit:
        head = EarlyExit(EarlyExitConfig(exit_layer=layer, blocks=0), model.config).eval()
        head.norm.load_state_dict(model.decoder.final_norm.state_dict())
        head.init_from_embedding(model.decoder.embedding.weight.detach())
        return head

    assert find_exit_layer(model, behind) == 3
