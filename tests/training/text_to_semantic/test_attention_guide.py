"""Guided attention: the band, what is recorded, and that the penalty teaches."""

from __future__ import annotations

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.text_to_semantic.attention_guide import AttentionGuide, diagonal, penalty

SHAPE = TextToSemanticConfig(
    text_vocab_size=12, text_pad_id=0, semantic_units=9, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=1,
    decoder_layers=2, ff_inner=32, dropout=0.0,
)  # fmt: skip


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    text = torch.tensor([[3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 0, 0]])
    semantic = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 8, 0], [1, 2, 3, 4, 5, -1, -1, -1, -1, -1]])
    return text, semantic


def places() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centres [2, 11], widths [2] and positions that count [2, 11] of `batch`."""
    centres = torch.stack((torch.linspace(0, 5, 11), torch.linspace(0, 6, 11)))
    counted = torch.arange(11) < torch.tensor([[11], [6]])
    return centres, torch.tensor([0.8, 0.8]), counted


def test_the_diagonal_is_straight() -> None:
    centres, width = diagonal(10, 5)
    torch.testing.assert_close(centres, torch.arange(10) / 2)
    assert width == pytest.approx(0.2 * 5)


def test_recorded_weights_are_those_of_the_layer() -> None:
    torch.manual_seed(0)
    model, (text, semantic) = TextToSemantic(SHAPE).eval(), batch()
    with AttentionGuide(model, [1]) as guide:
        model(text, semantic)
    weights = guide.weights[0]
    assert weights.shape == (2, 4, 11, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 11))
    assert weights[1, :, :, 4:].max() == 0
    model(text, semantic)
    assert len(guide.weights) == 1  # outside the block nothing is recorded


def test_the_band_holds_what_lies_near_its_centre() -> None:
    guide = AttentionGuide(TextToSemantic(SHAPE), [0])
    centres, widths = torch.tensor([[2.0, 2.0, 2.0]]), torch.tensor([1.0])
    weights = torch.zeros(1, 1, 3, 6)
    weights[0, 0, [0, 1, 2], [2, 3, 5]] = 1.0
    guide.weights = [weights]
    found = guide.inside(centres, widths, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(found, torch.exp(-torch.tensor([[0.0, 1.0, 9.0]]) / 2))


def test_the_penalty_teaches_where_to_read() -> None:
    torch.manual_seed(0)
    model, (text, semantic) = TextToSemantic(SHAPE), batch()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    found = []
    for _ in range(60):
        with AttentionGuide(model, [0, 1]) as guide:
            model(text, semantic)
        loss = penalty(guide.inside(*places()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(float(loss.detach()))
    assert found[-1] < 0.5 * found[0]


def test_rows_without_text_do_not_count() -> None:
    torch.manual_seed(0)
    model, (text, semantic) = TextToSemantic(SHAPE), batch()
    centres, widths, counted = places()
    with AttentionGuide(model, [0]) as guide:
        model(text, semantic, torch.tensor([False, True]))
    hidden = torch.tensor([[True], [False]])
    assert torch.isfinite(penalty(guide.inside(centres, widths, counted & hidden)))
    assert penalty(guide.inside(centres, widths, counted & False)) == 0


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="0 to 1"):
        AttentionGuide(TextToSemantic(SHAPE), [2])
