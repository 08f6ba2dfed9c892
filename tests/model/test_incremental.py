"""Incremental decoding on a cache equals the full teacher-forced forward, however the work is cut up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spear_accel.model import DecoderState, TextToSemantic, TextToSemanticConfig

TEXT_LENGTHS = (9, 4, 1)
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def ragged_text(model: TextToSemantic, lengths: tuple[int, ...] = TEXT_LENGTHS) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    text = torch.randint(3, model.config.letters, (len(lengths), max(lengths)), generator=generator)
    for row, length in enumerate(lengths):
        text[row, length:] = model.config.text_pad_id
    return text


def semantic(model: TextToSemantic, rows: int, count: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, model.config.semantic_units, (rows, count), generator=generator)


def inputs_of(model: TextToSemantic, tokens: Tensor) -> Tensor:
    """What the decoder reads: the start id, then the tokens."""
    return torch.cat((torch.full_like(tokens[:, :1], model.config.start_id), tokens), dim=1)


def block(inputs: Tensor, state: DecoderState, count: int) -> Tensor:
    """The next `count` inputs of every row, at the row's own position."""
    return torch.stack([row[start : start + count] for row, start in zip(inputs, state.lengths, strict=True)])


def test_token_by_token(any_model: TextToSemantic) -> None:
    text, tokens = ragged_text(any_model), semantic(any_model, 3, 8)
    full, inputs = any_model(text, tokens), inputs_of(any_model, tokens)
    state = any_model.start(text, 9)
    for position in range(9):
        logits = any_model.decoder.logits(any_model.decoder(inputs[:, position : position + 1], state))
        torch.testing.assert_close(logits[:, 0], full[:, position], **TOLERANCE)
        state.keep([1, 1, 1])


@settings(max_examples=25)
@given(rounds=st.lists(st.tuples(st.integers(1, 5), st.lists(st.integers(0, 5), min_size=3, max_size=3)), max_size=6),
       split=st.integers(1, 3))  # fmt: skip
def test_any_blocks_any_rollback_any_layer_split(rounds: list[tuple[int, list[int]]], split: int) -> None:
    """Rows keep different parts of each block (the rest is rolled back); layers run as [0:split), [split:L)."""
    model = shared_model()
    text, tokens = ragged_text(model), semantic(model, 3, 40)
    full, inputs = model(text, tokens), inputs_of(model, tokens)
    state = model.start(text, 40)
    for count, kept in [*rounds, (3, [0, 0, 0])]:
        x = block(inputs, state, count)
        hidden = model.decoder(model.decoder(x, state, slice(0, split)), state, slice(split, None))
        expected = torch.stack([row[n : n + count] for row, n in zip(full, state.lengths, strict=True)])
        torch.testing.assert_close(model.decoder.logits(hidden), expected, **TOLERANCE)
        state.keep([min(keep, count) for keep in kept])


def test_rewind_goes_back(model: TextToSemantic) -> None:
    text, tokens = ragged_text(model), semantic(model, 3)
    inputs, state = inputs_of(model, tokens), model.start(text, 30)
    model.decoder(inputs[:, :5], state)
    state.keep([5, 5, 5])
    wrong = model.decoder(semantic(model, 3, 6).flip(1), state)
    state.keep([6, 3, 1])
    state.rewind([5, 4, 5])
    x = block(inputs, state, 4)
    logits = model.decoder.logits(model.decoder(x, state))
    full = model(text, tokens)
    torch.testing.assert_close(logits, torch.stack([full[0, 5:9], full[1, 4:8], full[2, 5:9]]), **TOLERANCE)
    assert not torch.allclose(model.decoder.logits(wrong)[:, :4], logits, atol=1e-2)
    with pytest.raises(ValueError, match="rollback"):
        state.rewind([6, 4, 5])


def test_slots_beyond_the_lengths_change_nothing(model: TextToSemantic) -> None:
    """Level rows: NaN anywhere behind. Ragged rows: NaN behind the span, huge numbers inside it."""
    text, tokens = ragged_text(model), semantic(model, 3)
    inputs = inputs_of(model, tokens)
    for kept in ([5, 5, 5], [5, 2, 4]):
        outputs = []
        for poisoned in (False, True):
            state = model.start(text, 30)
            model.decoder(inputs[:, :5], state)
            state.keep(kept)
            if poisoned:
                for row, length in enumerate(state.lengths):
                    state.own.storage[:, :, row, :, length:] = 1e4
                state.own.storage[:, :, :, :, max(kept) + 3 :] = torch.nan
                if len(set(kept)) == 1:
                    state.own.storage[:, :, :, :, 5:] = torch.nan
            outputs.append(model.decoder(block(inputs, state, 3), state))
        torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)


def test_rows_leave_and_come(model: TextToSemantic) -> None:
    text, tokens = ragged_text(model, (9, 4, 1, 6)), semantic(model, 4)
    full, inputs = model(text, tokens), inputs_of(model, tokens)
    state = model.new_state(3, 30, 9)
    model.admit(state, text[:3])
    model.decoder(inputs[:3, :6], state)
    state.keep([6, 2, 4])
    state.select([2, 1])
    model.admit(state, text[3:])
    assert state.lengths == [4, 2, 0]
    order = [2, 1, 3]
    logits = model.decoder.logits(model.decoder(block(inputs[order], state, 3), state))
    torch.testing.assert_close(logits, torch.stack([full[2, 4:7], full[1, 2:5], full[3, 0:3]]), **TOLERANCE)


def test_a_spoiled_row_leaves_nothing_behind(model: TextToSemantic) -> None:
    text, tokens = ragged_text(model), semantic(model, 3)
    full, inputs = model(text, tokens), inputs_of(model, tokens)
    state = model.start(text, 30)
    model.decoder(inputs[:, :6], state)
    state.keep([2, 6, 6])
    state.own.storage[:, :, 2, :, :6] = torch.nan
    state.select([0, 1])
    model.admit(state, text[2:])
    logits = model.decoder.logits(model.decoder(block(inputs, state, 2), state))
    torch.testing.assert_close(logits, torch.stack([full[0, 2:4], full[1, 6:8], full[2, 0:2]]), **TOLERANCE)


def test_cache_grows_by_itself_and_refuses_what_cannot_fit(model: TextToSemantic) -> None:
    text, tokens = ragged_text(model), semantic(model, 3, 300)
    inputs, state = inputs_of(model, tokens), model.start(text, 301)
    before = state.own.storage.shape[4]
    model.decoder(inputs[:, :250], state)
    state.keep([250, 240, 249])
    logits = model.decoder.logits(model.decoder(block(inputs, state, 51), state))
    assert before < state.own.storage.shape[4] <= 301
    full = model(text, tokens)
    torch.testing.assert_close(logits[0], full[0, 250:301], **TOLERANCE)
    torch.testing.assert_close(logits[1], full[1, 240:291], **TOLERANCE)
    with pytest.raises(ValueError, match="301 slots"):
        model.decoder(inputs[:, :52], state)
    numbers = 4 * state.own.storage.shape[4] + 4 * (max(TEXT_LENGTHS) + 1)  # layers * (S + X)
    assert state.bytes == 2 * 3 * 2 * 8 * numbers * 4  # K and V * rows * G * C * numbers * float32


def test_misuse_is_refused(model: TextToSemantic) -> None:
    state = model.start(ragged_text(model), 10)
    with pytest.raises(ValueError, match="3 live rows"):
        state.keep([1])
    with pytest.raises(ValueError, match="exceed the cache"):
        model.admit(state, ragged_text(model))


@cache
def shared_model() -> TextToSemantic:
    """For hypothesis, which takes no function-scoped fixtures."""
    torch.manual_seed(1)
    config = TextToSemanticConfig(
        text_vocab_size=30, semantic_units=20, dim=32, heads=4, kv_heads=2, head_dim=8,
        encoder_layers=2, decoder_layers=4, ff_inner=48,
    )  # fmt: skip
    return TextToSemantic(config).eval()
