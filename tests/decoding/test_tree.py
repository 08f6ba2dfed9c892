"""Shapes of drafts: combs, ancestry, and what is no tree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.decoding.tree import TreeShape, chain, comb, sparse
from spear_accel.errors import UserError

CPU = torch.device("cpu")


def test_a_chain_is_the_tree_whose_nodes_follow_each_other() -> None:
    shape = chain(3)
    assert shape.parents == (-1, 0, 1)
    assert shape.is_chain and shape.depth == 3 and shape.spine == (0, 1, 2)
    assert shape.on(CPU).mask is None
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
        if tensors.mask is not None:
            seen = tensors.mask.visible[node + 1]
            assert bool(seen[0]) and set((seen[1:].nonzero().flatten()).tolist()) == above
            assert int(tensors.mask.depths[node + 1]) == len(above)


@pytest.mark.parametrize("parents", [(0,), (-1, 1), (-1, 2, 0), (-2,)])
def test_cycles_and_missing_parents_are_refused(parents: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="a parent is -1"):
        TreeShape(parents)


def test_children_and_widths() -> None:
    shape = TreeShape((-1, -1, 0, 0, 1, 2))
    assert shape.children == ((0, 1), (2, 3), (4,), (5,), (), (), ())
    assert shape.spine == (0, 2, 5) and shape.widths == (2, 2, 1)
    assert comb((2, 1, 3)).widths == (2, 1, 3)
    assert shape.on(CPU).children.tolist()[:3] == [[0, 1], [2, 3], [4, -1]]


def test_windows_are_the_last_tokens_in_front_of_what_follows() -> None:
    """Of three earlier tokens (0, 1, 2) and the nodes' own (3 + node)."""
    shape = TreeShape((-1, -1, 0, 2, 3))
    assert shape.windows(3, CPU).tolist() == [
        [0, 1, 2], [1, 2, 3], [1, 2, 4], [2, 3, 5], [3, 5, 6], [5, 6, 7],
    ]  # fmt: skip


def path_chance(shape: TreeShape, acceptance: tuple[tuple[float, ...], ...], node: int) -> float:
    chance = 1.0
    while node >= 0:
        chance *= acceptance[shape.depths[node] - 1][shape.ranks[node] - 1]
        node = shape.parents[node]
    return chance


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_a_sparse_tree_holds_the_likeliest_nodes(seed: int, nodes: int) -> None:
    """No node left out is likelier than one that is in, of the full tree of three depths with three candidates."""
    generator = torch.Generator().manual_seed(seed)
    acceptance = tuple(
        tuple(sorted((torch.rand(4, generator=generator).softmax(0)[:3]).tolist(), reverse=True)) for _ in range(3)
    )
    shape = sparse(acceptance, nodes)
    assert shape.nodes == nodes
    full = sparse(acceptance, 39)
    chances = sorted((path_chance(full, acceptance, node) for node in range(39)), reverse=True)
    found = sorted((path_chance(shape, acceptance, node) for node in range(nodes)), reverse=True)
    assert found == pytest.approx(chances[:nodes])


def test_a_depth_without_candidates_is_refused() -> None:
    with pytest.raises(UserError, match="0 candidates"):
        comb((2, 0))
