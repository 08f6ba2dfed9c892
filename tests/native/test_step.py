"""The native step against PyTorch, and against itself: not a bit depends on how tokens are batched."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from spear_accel.model import SkipSet, TextToSemantic, TreeMask
from spear_accel.native import TORCH
from spear_accel.native.weights import Precision
from tests.model.conftest import BART, T5, VARIANTS, lively, named, tiny_config
from tests.native.decoding import alone, logits_of, native_model, texts, tokens, with_kernel

TREE = TreeMask(
    torch.tensor([0, 1, 1, 2, 2, 3]),
    torch.tensor([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], [1, 1, 0, 1, 0, 0], [1, 0, 1, 0, 1, 0],
                  [1, 0, 1, 0, 1, 1]], dtype=torch.bool),
)  # fmt: skip
PATH = [0, 2, 4, 5]
"""Of the tree's tokens, one path."""


def walk(model: TextToSemantic) -> list[Tensor]:
    """Blocks, ragged rows, a split of the layers, attention to the text, a tree and skipped blocks."""
    said, state = tokens(model.config, 5, 30), model.start(texts(model.config, 5), 60)
    left = [model.decoder.forward(said[:, :6], state)]
    state.keep([6, 5, 6, 1, 6])
    left.append(logits_of(model, said[:, 6:7], state))
    state.keep([1, 0, 1, 0, 1])
    weights: list[Tensor] = []
    lower = model.decoder.forward(said[:, 7:10], state, slice(0, 2), collect=weights)
    upper = model.decoder.forward(lower, state, slice(2, None), collect=weights)
    left += [model.decoder.logits(upper), *weights]
    state.keep([1, 2, 1, 3, 1])
    left.append(logits_of(model, said[:, 10:16], state, tree=TREE))
    left.append(logits_of(model, said[:, 10:12], state, skip=SkipSet((1, 2), (0, 2))))
    return left


@pytest.mark.parametrize("changes", VARIANTS, ids=named)
def test_every_model_says_what_it_says_in_pytorch(kernel: str, changes: dict[str, object]) -> None:
    model = lively(tiny_config(**changes))
    wanted = walk(with_kernel(model, TORCH))
    for found, expected in zip(walk(with_kernel(model, kernel)), wanted, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [{"head_dim": 6, "dim": 20, "ff_inner": 21}, {"head_dim": 72, "heads": 2}])
def test_widths_that_fill_no_register(kernel: str, shape: dict[str, object]) -> None:
    model = lively(tiny_config(**shape))
    wanted = walk(with_kernel(model, TORCH))
    for found, expected in zip(walk(with_kernel(model, kernel)), wanted, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("precision", "changes"), [("float32", {}), ("bfloat16", {}), ("int8", {}), ("float32", T5), ("int8", BART)]
)
def test_not_a_bit_depends_on_batch_block_or_threads(
    kernel: str, precision: Precision, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = native_model(kernel, precision, **changes)
    text, said = texts(model.config, 32), tokens(model.config, 32, 17)
    wanted = alone(model, text, said)
    for rows in (1, 3, 8, 32):
        state = model.start(text[:rows], 32)
        for count, threads in ((1, 2), (4, 1), (4, 2), (15, 1), (15, 2)):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            for first in range(0, 17 - count + 1, count):
                found = logits_of(model, said[:rows, first : first + count], state)
                assert torch.equal(found, wanted[:rows, first : first + count]), (rows, count, threads, first)
                state.keep([count] * rows)
            state.rewind([0] * rows)


def test_not_a_bit_depends_on_the_other_rows_lengths(kernel: str) -> None:
    model = native_model(kernel)
    text, said = texts(model.config, 3), tokens(model.config, 3, 14)
    wanted, state = alone(model, text, said), model.start(text, 30)
    logits_of(model, said[:, :8], state)
    state.keep([8, 3, 5])
    block = torch.stack([row[at : at + 4] for row, at in zip(said, state.lengths, strict=True)])
    expected = torch.stack([row[at : at + 4] for row, at in zip(wanted, state.lengths, strict=True)])
    assert torch.equal(logits_of(model, block, state), expected)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_path_of_a_tree_is_bit_for_bit_a_plain_sequence(kernel: str, threads: int, rows: int) -> None:
    """Its tokens lie in other slots, between those of other branches."""
    model = native_model(kernel)
    text, said = texts(model.config, rows), tokens(model.config, rows, 30)
    state = model.start(text, 40)
    logits_of(model, said[:, :7], state)
    state.keep([7] * rows)
    found = logits_of(model, said[:, 7:13], state, tree=TREE)[:, PATH]
    assert torch.equal(found, alone(model, text, torch.cat((said[:, :7], said[:, 7:13][:, PATH]), dim=1))[:, 7:])


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.05), ("int8", 0.1)])
def test_rounded_weights_are_near(kernel: str, precision: Precision, tolerance: float) -> None:
    model = lively(tiny_config())
    wanted = walk(with_kernel(model, TORCH))[1]
    found = walk(with_kernel(model, kernel, precision))[1]
    assert 0.0 < float((found - wanted).norm() / wanted.norm()) < tolerance


def test_a_model_in_bfloat16_keeps_caches_in_bfloat16(kernel: str) -> None:
    model = lively(tiny_config())
    wanted = walk(with_kernel(model, TORCH))[1]
    half = with_kernel(copy.deepcopy(model).to(torch.bfloat16), kernel)
    found = walk(half)
    assert {tensor.dtype for tensor in (found[0], found[1], found[-1])} == {torch.bfloat16}
    assert float((found[1].float() - wanted).norm() / wanted.norm()) < 0.1


def test_weights_that_change_are_noticed(kernel: str) -> None:
    model = native_model(kernel)
    before = walk(model)[1]
    model.decoder.stack[1].feed_forward.out.weight.mul_(1.5)
    after = walk(model)[1]
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, walk(with_kernel(model, TORCH))[1], atol=1e-4, rtol=1e-4)
    other = native_model(kernel)
    other.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(walk(other)[1], after)


def test_copies_are_models_of_their_own(kernel: str) -> None:
    model = native_model(kernel)
    before, twin = walk(model)[1], copy.deepcopy(model)
    twin.decoder.embedding.weight.mul_(2.0)
    assert torch.equal(walk(model)[1], before)
    assert not torch.equal(walk(twin)[1], before)


def test_nan_stays_with_its_row(kernel: str) -> None:
    model = native_model(kernel)
    text, said = texts(model.config, 3), tokens(model.config, 3, 8)
    state = model.start(text, 20)
    logits_of(model, said[:, :5], state)
    state.keep([5, 5, 5])
    state.own.storage[0, 1, 1, 0, 2] = torch.nan
    found = logits_of(model, said[:, 5:8], state)
    assert bool(found[1].isnan().all())
    assert torch.equal(found[[0, 2]], alone(model, text, said)[[0, 2], 5:])


def test_what_does_not_exist_is_refused(kernel: str) -> None:
    model = native_model(kernel)
    state = model.start(texts(model.config, 1), 10)
    with pytest.raises(IndexError, match="outside the vocabulary"):
        model.decoder.forward(torch.tensor([[model.config.vocab + 1]]), state)
    with pytest.raises(ValueError, match="10 slots"):
        model.decoder.forward(torch.zeros(1, 11, dtype=torch.int64), state)
