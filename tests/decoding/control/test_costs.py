"""What tuning says of drafts: expected tokens by hand, the shapes that are considered, and the price of drafting on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from spear_accel.decoding.control.costs import DraftCosts, candidate_shapes, expected_tokens
from spear_accel.decoding.tree import TreeShape, chain, comb

ACCEPTANCE = ((0.8, 0.1, 0.05), (0.5, 0.1, 0.05))
TIMES = {1: (1.0, 1.2, 1.4), 8: (1.0, 1.6, 2.2)}
COSTS = DraftCosts(ACCEPTANCE, TIMES, {1: 0.01, 8: 0.3})


def test_expected_tokens_by_hand() -> None:
    assert expected_tokens(ACCEPTANCE, chain(0)) == 1.0
    assert expected_tokens(ACCEPTANCE, chain(2)) == pytest.approx(1 + 0.8 + 0.8 * 0.5)
    assert expected_tokens(ACCEPTANCE, comb((2, 2))) == pytest.approx(1 + 0.9 + 0.8 * 0.6)
    assert expected_tokens(ACCEPTANCE, comb((2, 1))) == pytest.approx(1 + 0.9 + 0.8 * 0.5)
    assert expected_tokens(ACCEPTANCE, TreeShape((-1, -1, 1))) == pytest.approx(1 + 0.9 + 0.1 * 0.5)


def test_chains_combs_and_trees_are_considered() -> None:
    assert candidate_shapes(DraftCosts(ACCEPTANCE, TIMES), 2) == [chain(0), chain(1), chain(2)], "chains only"
    combs = candidate_shapes(COSTS, 2)
    assert combs == [chain(0), chain(1), chain(2), comb((2,)), comb((2, 2)), comb((3,)), comb((3, 3))]
    trees = candidate_shapes(DraftCosts(ACCEPTANCE, TIMES, COSTS.node, anywhere=True), 2)
    assert set(combs) < set(trees)
    assert max(shape.nodes for shape in trees) > 6
    deep = DraftCosts(((0.8, 0.1, 0.05),) * 30, {1: (1.0,) * 31}, {1: 0.01})
    assert max(shape.nodes for shape in candidate_shapes(deep, 30)) == 63, "as many as a target call holds"
    assert candidate_shapes(COSTS, 2, candidates=1) == [chain(0), chain(1), chain(2)]


def test_cheap_nodes_bring_candidates_and_dear_ones_do_not() -> None:
    assert COSTS.round_time(1, comb((3, 3))) == pytest.approx(1.4 + 4 * 0.01)
    assert COSTS.speedup(1)[1] == comb((3, 3))
    speed, shape = COSTS.speedup(8)
    assert shape == chain(1) and speed == pytest.approx(1.8 / 1.6)
    assert COSTS.speedup(6) == COSTS.speedup(8), "the nearest number of rows counts"


def test_drafting_on_costs_what_its_time_commits_elsewhere() -> None:
    costs = DraftCosts(
        ((0.8, 0.1),) * 4, {1: (1.0, 1.2, 1.3, 1.4, 1.5), 8: (1.0, 1.6, 2.0, 2.4, 2.8)}, {1: 0.05, 8: 0.1}
    )
    alone, many = costs.marginal(1), costs.marginal(8)
    assert alone.depth == pytest.approx(costs.speedup(1)[0] * 0.1)
    assert alone.node == pytest.approx(costs.speedup(1)[0] * 0.05)
    assert many.depth == pytest.approx(8 * costs.speedup(8)[0] * 0.4)
    assert replace(costs, node={}).marginal(1).node == math.inf
    twice = costs.marginal(16)
    assert (twice.depth, twice.node) == pytest.approx((2 * many.depth, 2 * many.node)), "as 8 rows, two times"
