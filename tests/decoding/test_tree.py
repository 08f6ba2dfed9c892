"""Shapes of drafts: combs, ancestry, and what is no tree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.decoding.tree import TreeShape, chain, comb
from spear_accel.errors import UserError

CPU = torch.device("cpu")


def test_a_chain_is_the_tree_whose_nodes_follow_each_other() -> None:
    shape = chain(3)
    assert shape.parents == (-1, 0, 1)
    assert shape.is_chain and shape.depth == 3 and shape.spine == (0, 1, 2)
    assert shape.on(CPU).branching is None
    assert chain(0).nodes == 0 and chain(0).depth == 0


def test_a_comb_has_leaves_beside_its_chain() -> None:
    shape = comb((2, 1, 3))
    assert shape.parents == (-1, -1, 0, 2, 2, 2)
    assert shape.depths == (1, 1, 2, 3, 3, 3)
    assert shape.ranks == (1, 2, 1, 1, 2, 3)
    assert shape.spine == (0, 2, 3)
    assert [shape.depth_of(count) for count in range(7)] == [0, 1, 1, 2, 3, 3, 3]
    assert not shape.is_chain


@given(st.lists(st.integers(0, 100), max_size=10))
def test_ancestry_and_visibility(draws: list[int]) -> None:
    shape = TreeShape(tuple(draw % (node + 1) - 1 for node, draw in enumerate(draws)))
    tensors = shape.on(CPU)
    for node in range(shape.nodes):
        above, at = set(), node
        while at >= 0:
            above.add(at)
            at = shape.parents[at]
        assert set(tensors.ancestry[node].nonzero().flatten().tolist()) == above
        assert int(tensors.depths[node]) == len(above) == shape.depths[node]
        if tensors.branching is not None:
            seen = tensors.branching.visible[node + 1]
            assert bool(seen[0]) and set((seen[1:].nonzero().flatten()).tolist()) == above
            assert int(tensors.branching.depths[node + 1]) == len(above)


@pytest.mark.parametrize("parents", [(0,), (-1, 1), (-1, 2, 0), (-2,)])
def test_cycles_and_missing_parents_are_refused(parents: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="a parent is -1"):
        TreeShape(parents)


def test_a_depth_without_candidates_is_refused() -> None:
    with pytest.raises(UserError, match="0 candidates"):
        comb((2, 0))
