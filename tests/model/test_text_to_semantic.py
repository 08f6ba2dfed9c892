"""The whole model: causality, padding, conditioning dropout, gradients."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage.files import write_json
from spear_accel.training.loop.losses import sequence_loss

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


def batch(model: TextToSemantic) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randint(3, model.config.letters, (3, 7)), torch.randint(0, model.config.semantic_units, (3, 11))


def test_shape_and_dtype(model: TextToSemantic) -> None:
    logits = model(*batch(model))
    assert logits.shape == (3, 12, model.config.vocab)
    assert logits.dtype == torch.float32


@torch.no_grad()
def test_padding_changes_nothing(any_model: TextToSemantic) -> None:
    text, semantic = batch(any_model)
    alone = any_model(text[:1, :4], semantic[:1, :6])
    text[0, 4:] = any_model.config.text_pad_id
    semantic[0, 6:] = any_model.config.semantic_pad_id
    torch.testing.assert_close(any_model(text, semantic)[:1, :7], alone, **TOLERANCE)


@pytest.mark.parametrize(("longest", "width"), [(1, 16), (3, 16), (16, 16), (17, 32), (4090, 4096), (4100, 4100)])
def test_text_is_padded_to_few_lengths(model: TextToSemantic, longest: int, width: int) -> None:
    """Never beyond the model's positions by padding alone; what is too long is refused elsewhere."""
    assert model.config.max_positions == 4096
    padded = model.pad_text([[3, 4], [5] * longest])
    assert padded.shape == (2, max(width, 2))
    assert padded[1].tolist() == [5] * longest + [model.config.text_pad_id] * (width - longest)
    assert padded[0, :2].tolist() == [3, 4] and (padded[0, 2:] == model.config.text_pad_id).all()


@torch.no_grad()
def test_future_tokens_are_not_seen(model: TextToSemantic) -> None:
    text, semantic = batch(model)
    changed = semantic.clone()
    changed[:, 5] = (changed[:, 5] + 1) % model.config.semantic_units
    before, after = model(text, semantic), model(text, changed)
    torch.testing.assert_close(before[:, :6], after[:, :6], rtol=0, atol=1e-6)
    assert (before[:, 6] - after[:, 6]).abs().amax(-1).min() > 1e-3


@torch.no_grad()
def test_text_is_read(model: TextToSemantic) -> None:
    text, semantic = batch(model)
    changed = text.clone()
    changed[:, 0] = 3 + (text[:, 0] - 2) % 27
    assert (model(text, semantic) - model(changed, semantic)).abs().amax((1, 2)).min() > 1e-3


@torch.no_grad()
def test_cond_drop_hides_the_whole_text_of_its_rows(model: TextToSemantic) -> None:
    text, semantic = batch(model)
    drop = torch.tensor([True, False, True])
    dropped = model(text, semantic, drop)
    torch.testing.assert_close(dropped[1], model(text, semantic)[1], **TOLERANCE)
    torch.testing.assert_close(dropped[0], model(text.flip(0), semantic, drop)[0], **TOLERANCE)
    assert (dropped[0] - model(text, semantic)[0]).abs().max() > 1e-3


def test_cond_drop_needs_a_null_key() -> None:
    config = TextToSemanticConfig(text_vocab_size=9, semantic_units=5, dim=16, heads=1, kv_heads=1, head_dim=8,
                                  encoder_layers=1, decoder_layers=1, ff_inner=8, null_kv=False)  # fmt: skip
    with pytest.raises(UserError, match="null_kv"):
        TextToSemantic(config)(torch.ones(1, 3).long(), torch.ones(1, 3).long(), torch.tensor([True]))


def test_every_parameter_gets_a_gradient(any_model: TextToSemantic) -> None:
    text, semantic = batch(any_model)
    config = any_model.config
    text, semantic = torch.arange(config.letters)[None], torch.arange(20)[None]
    any_model.zero_grad()
    loss = sequence_loss(any_model(text, semantic), torch.cat((semantic, torch.tensor([[20]])), dim=1))
    if config.text_target:
        loss = loss + any_model.transcribe(any_model.encode_semantic(semantic), text).logsumexp(dim=-1).mean()
    loss.backward()
    for name, parameter in any_model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    embedding = any_model.decoder.embedding.weight.grad
    assert embedding is not None
    read = torch.cat((semantic[0], torch.tensor([config.start_id]))) if not config.tied_output else slice(None)
    assert (embedding[read].abs().sum(-1) > 0).all(), "a unit, EOS or the start vector is not trained"
    assert any_model.text_embedding.weight.grad is not None
    assert (any_model.text_embedding.weight.grad.abs().sum(-1) > 0).all()


def test_starts_near_a_uniform_guess() -> None:
    """A fresh model must not begin by predicting its own input through the tied embedding."""
    torch.manual_seed(0)
    config = TextToSemanticConfig(text_vocab_size=50, semantic_units=100, encoder_layers=1, decoder_layers=2)
    model = TextToSemantic(config).eval()
    semantic = torch.randint(0, 100, (2, 30))
    loss = sequence_loss(model(torch.randint(0, 50, (2, 9)), semantic)[:, :-1], semantic)
    assert abs(loss.item() - math.log(101)) < 0.5


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(model: TextToSemantic, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    write_json(tmp_path / "config.json", model.config.to_dict())
    copy = TextToSemantic(TextToSemanticConfig.load(tmp_path / "config.json")).eval()
    copy.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    torch.testing.assert_close(copy(*batch(model)), model(*batch(model)), rtol=0, atol=0)


def test_too_long_a_state_is_refused(model: TextToSemantic) -> None:
    with pytest.raises(UserError, match="5000 semantic tokens exceed"):
        model.new_state(1, 5000, 10)
