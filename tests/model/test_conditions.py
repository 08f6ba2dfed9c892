"""Language and rate in front of a text: what they choose, and that they travel with it."""

from __future__ import annotations

import pytest
import torch

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.request import complete_text
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from tests.model.conftest import OTHERS, lively, tiny_config


@pytest.fixture(scope="module")
def model() -> TextToSemantic:
    """23 letters, 3 languages (23 to 25) and 4 rates (26 to 29)."""
    return lively(tiny_config(**OTHERS))


@torch.no_grad()
def test_ragged_choices_in_a_batch_are_those_of_each_row(model: TextToSemantic) -> None:
    rows = [[24, 28, 0, 5, 6], [0, 7, 8], [27, 0, 9], [25, 0, 3, 4, 5, 6]]
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    semantic = torch.tensor([[1, 2, 3]])
    together = model(padded, semantic.expand(len(rows), -1))
    for row, logits in zip(rows, together, strict=True):
        assert torch.allclose(model(torch.tensor([row]), semantic)[0], logits, atol=1e-4)


@torch.no_grad()
def test_every_choice_matters(model: TextToSemantic) -> None:
    semantic = torch.tensor([[1, 2, 3]])
    said = [model(torch.tensor([[*front, 0, 5]]), semantic) for front in ((), (23,), (24,), (26,), (29,), (24, 29))]
    assert torch.allclose(said[0], said[1], atol=1e-5) and torch.allclose(said[0], said[3], atol=1e-5)
    for place in (2, 4, 5):
        assert not torch.allclose(said[0], said[place], atol=1e-3)


def test_decoding_with_choices_in_any_company(model: TextToSemantic) -> None:
    texts = [[24, 28, 5, 6], [7, 8], [27, 9], [25, 3, 4, 5, 6], [0, 7, 8]]
    options = DecodeOptions(max_tokens=30, loop_retries=0, seed=2)
    together = Engine(model, options).decode(texts).tokens
    for text, tokens in zip(texts, together, strict=True):
        assert torch.equal(Engine(model, options).decode([text]).tokens[0], tokens)


def test_the_start_comes_behind_the_choices_and_once(model: TextToSemantic) -> None:
    assert complete_text(model.config, [24, 28, 5]) == (24, 28, 0, 5)
    assert complete_text(model.config, [24, 0, 5]) == (24, 0, 5)
    assert complete_text(model.config, [5]) == (0, 5)


@pytest.mark.parametrize("text", [[23, 24, 5], [26, 27, 5], [30, 5], [5, 24], [5, 23, 6], [-1, 5]])
def test_impossible_choices_are_refused(model: TextToSemantic, text: list[int]) -> None:
    with pytest.raises(UserError, match="utterance 0"):
        Engine(model, DecodeOptions()).decode([text])


def test_ids_by_number_and_rate(model: TextToSemantic) -> None:
    config = model.config
    assert [config.language_id(n) for n in range(3)] == [23, 24, 25]
    assert [config.rate_id(rate) for rate in (0.0, 0.7, 1.3, 99.0)] == [26, 27, 28, 29]
    for wrong in (-1, 3):
        with pytest.raises(UserError, match="language"):
            config.language_id(wrong)
    with pytest.raises(UserError, match="speaking rate"):
        config.rate_id(-1.0)
