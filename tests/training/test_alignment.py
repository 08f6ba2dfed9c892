"""Guided attention: the penalty, what is recorded, and that it teaches."""

from __future__ import annotations

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.alignment import DiagonalGuide, diagonal_distance

SHAPE = TextToSemanticConfig(
    text_vocab_size=12, text_pad_id=0, semantic_units=9, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=1,
    decoder_layers=2, ff_inner=32, dropout=0.0,
)  # fmt: skip


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    text = torch.tensor([[3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 0, 0]])
    semantic = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 8, 0], [1, 2, 3, 4, 5, -1, -1, -1, -1, -1]])
    return text, semantic


def test_the_diagonal_is_free_and_the_corner_is_not() -> None:
    far = diagonal_distance(torch.tensor([10, 5]), torch.tensor([10, 5]), 10, 10, width=0.2)
    assert far[0].diagonal().max() == 0
    assert far[0, 0, 9] > 0.99
    assert far[1, 4, 4] == 0


def test_recorded_weights_are_those_of_the_layer() -> None:
    torch.manual_seed(0)
    model, (text, semantic) = TextToSemantic(SHAPE).eval(), batch()
    with DiagonalGuide(model, [1]) as guide:
        model(text, semantic)
    weights = guide._weights[0]
    assert weights.shape == (2, 4, 11, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 11))
    assert weights[1, :, :, 4:].max() == 0
    model(text, semantic)
    assert len(guide._weights) == 1  # outside the block nothing is recorded


def test_the_penalty_teaches_the_diagonal() -> None:
    torch.manual_seed(0)
    model, (text, semantic) = TextToSemantic(SHAPE), batch()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    found = []
    for _ in range(60):
        with DiagonalGuide(model, [0, 1]) as guide:
            model(text, semantic)
        outside = guide.penalty(torch.tensor([11, 6]), torch.tensor([6, 4]), torch.tensor([True, True]))
        optimiser.zero_grad()
        outside.backward()
        optimiser.step()
        found.append(float(outside.detach()))
    assert found[-1] < 0.5 * found[0]


def test_rows_without_text_do_not_count() -> None:
    torch.manual_seed(0)
    model, (text, semantic) = TextToSemantic(SHAPE), batch()
    lengths = torch.tensor([11, 6]), torch.tensor([6, 4])
    with DiagonalGuide(model, [0]) as guide:
        model(text, semantic, torch.tensor([False, True]))
    assert torch.isfinite(guide.penalty(*lengths, torch.tensor([True, False])))
    assert guide.penalty(*lengths, torch.tensor([False, False])) == 0


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="0 to 1"):
        DiagonalGuide(TextToSemantic(SHAPE), [2])
