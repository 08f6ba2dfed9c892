"""Drafts with candidates: several tokens at one depth, paths through a tree, and what they are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from spear_accel.decoding import DecodeOptions, Engine, LengthBounds, StoppingCriteria
from spear_accel.decoding.control.fixed import FixedController
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.tree import TreeShape, chain
from spear_accel.model import TextToSemantic
from tests.decoding.conftest import Autoregressive
from tests.decoding.drafters import GUARDS, decode, noisy, rows
from tests.pairs import pairs_first


@pytest.mark.parametrize(
    ("method", "temperature", "shape", "batch_size"),
    pairs_first(
        ("prophet", "prophet-linear", "medusa", "recurrent", "draft-model"),
        (0.0, 0.7),
        ((1, 4), (3, 2), (5, 3), ("auto", 3)),
        (1, 3, 8),
    ),
)
def test_candidates_change_no_token_either(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    method: str,
    temperature: float,
    shape: tuple[int | Literal["auto"], int],
    batch_size: int,
) -> None:
    """`shape`: draft length and candidates."""
    plain = DecodeOptions(temperature=temperature, seed=4, batch_size=batch_size)
    wide = replace(plain, method=method, draft_length=shape[0], candidates=shape[1])
    wanted = autoregressive(temperature=temperature, seed=4, batch_size=batch_size)
    found = decode(model, drafting, wide, texts)
    assert rows(found) == rows(wanted)
    assert found.stats.committed == wanted.stats.committed


@pytest.mark.parametrize("method", ["prophet", "prophet-linear", "draft-model", "layer-skip"])
@pytest.mark.parametrize("fields", [{"repetition_penalty": 1.6, "repetition_window": 4}, {"cond_scale": 1.8}], ids=str)
def test_candidates_under_penalties_guidance_and_least_lengths(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    method: str,
    fields: dict[str, float],
) -> None:
    """A node is judged by the tokens in front of it and its own position, not by its number."""
    wide = DecodeOptions(method=method, seed=2, temperature=1.5, draft_length=3, candidates=3, **fields)  # type: ignore[arg-type]
    guards = StoppingCriteria(length=LengthBounds(tokens_per_unit=5.0, shortest=1.0, longest=1.5, slack=10))
    wanted = autoregressive(guards, seed=2, temperature=1.5, **fields)
    drafter, controller = drafting.prepare(model, method, wide)
    found = Engine(model, wide, guards, drafter, controller=controller).decode(texts)
    assert rows(found) == rows(wanted)
    assert any(reason == "eos" for reason in wanted.stop_reasons)


@pytest.mark.parametrize("method", ["prophet-linear", "medusa"])
def test_trees_change_no_token_either(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], autoregressive: Autoregressive, method: str
) -> None:
    """Candidates behind any node: heads that say all at once do not mind which node they follow."""
    shape = TreeShape((-1, -1, -1, 0, 0, 1, 3, 5, 6))
    options = DecodeOptions(method=method, seed=4, batch_size=3)
    drafter = drafting.drafter(model, method, 4)
    found = Engine(model, options, GUARDS, drafter, controller=FixedController(shape)).decode(texts)
    assert rows(found) == rows(autoregressive(seed=4, batch_size=3))
    narrow = FixedController(chain(4))
    chain_only = Engine(model, options, GUARDS, drafting.drafter(model, method, 4), controller=narrow).decode(texts)
    assert found.stats.block_efficiency > chain_only.stats.block_efficiency


def test_candidates_make_paths_longer(model: TextToSemantic, drafting: Drafting, texts: list[list[int]]) -> None:
    small = noisy(model, 0.3)
    assert isinstance(small, TextToSemantic)
    for method, own in (("prophet", drafting), ("draft-model", Drafting({}, small))):
        wide = [DecodeOptions(method=method, draft_length=3, candidates=count) for count in (1, 2, 4)]
        found = [decode(model, own, options, texts).stats.block_efficiency for options in wide]
        assert found[0] < found[1] < found[2], method
