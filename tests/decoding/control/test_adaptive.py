"""The choice of drafts: promises by hand, what is learned from rounds, and when not to draft."""

from __future__ import annotations

import pytest

from spear_accel.decoding.control.adaptive import AdaptiveLength, DraftCosts, FixedLength, expected_tokens, plans
from spear_accel.decoding.stats import Judged
from spear_accel.decoding.tree import TreeShape, chain, comb

ACCEPTANCE = ((0.8, 0.1, 0.05), (0.5, 0.1, 0.05))
TIMES = {1: (1.0, 1.2, 1.4), 8: (1.0, 1.6, 2.2)}
COSTS = DraftCosts(ACCEPTANCE, TIMES, {1: 0.01, 8: 0.3})


def judged(shape: TreeShape, *right: int) -> Judged:
    """A row whose path goes along candidates `right` by depth, as far as they are not 0."""
    steps, node = [], -1
    for rank in right:
        family = shape.children[node + 1]
        steps.append((len(family), rank))
        if not rank:
            break
        node = family[rank - 1]
    return Judged(shape.depth, sum(rank > 0 for _, rank in steps), tuple(steps))


def test_expected_tokens_by_hand() -> None:
    assert expected_tokens(ACCEPTANCE, chain(0)) == 1.0
    assert expected_tokens(ACCEPTANCE, chain(2)) == pytest.approx(1 + 0.8 + 0.8 * 0.5)
    assert expected_tokens(ACCEPTANCE, comb((2, 2))) == pytest.approx(1 + 0.9 + 0.8 * 0.6)
    assert expected_tokens(ACCEPTANCE, comb((2, 1))) == pytest.approx(1 + 0.9 + 0.8 * 0.5)
    assert expected_tokens(ACCEPTANCE, TreeShape((-1, -1, 1))) == pytest.approx(1 + 0.9 + 0.1 * 0.5)


def test_plans_are_chains_combs_and_trees() -> None:
    assert plans(DraftCosts(ACCEPTANCE, TIMES), 2) == [chain(0), chain(1), chain(2)], "it cannot branch"
    beside = plans(COSTS, 2)
    assert beside == [chain(0), chain(1), chain(2), comb((2,)), comb((2, 2)), comb((3,)), comb((3, 3))]
    anywhere = plans(DraftCosts(ACCEPTANCE, TIMES, COSTS.node, anywhere=True), 2)
    assert set(beside) < set(anywhere)
    assert max(shape.nodes for shape in anywhere) > 6
    assert plans(COSTS, 2, candidates=1) == [chain(0), chain(1), chain(2)]


def test_cheap_nodes_bring_candidates_and_dear_ones_do_not() -> None:
    assert COSTS.round_time(1, comb((3, 3))) == pytest.approx(1.4 + 4 * 0.01)
    assert COSTS.speedup(1)[1] == comb((3, 3))
    promise, shape = COSTS.speedup(8)
    assert shape == chain(1) and promise == pytest.approx(1.8 / 1.6)
    assert COSTS.speedup(6) == COSTS.speedup(8), "the nearest number of rows counts"


def test_bounds_are_kept() -> None:
    assert AdaptiveLength(DraftCosts(ACCEPTANCE, TIMES), 2).shape(1) == chain(2)
    assert AdaptiveLength(COSTS, 2, candidates=1).shape(1) == chain(2)
    assert AdaptiveLength(COSTS, 1).shape(1) == comb((3,))
    assert AdaptiveLength(COSTS, 2).most_nodes == 6


def test_bad_luck_shortens_the_draft() -> None:
    policy = AdaptiveLength(COSTS, 2)
    assert policy.shape(1) == comb((3, 3))
    for _ in range(120):
        shape = policy.shape(1)
        policy.observe(shape, [judged(shape, 0)] if shape.nodes else [Judged(0, 0)], 0.01 * COSTS.round_time(1, shape))
    assert policy.shape(1) in (chain(0), chain(1))


def test_slow_rounds_shorten_the_draft() -> None:
    """Drafting takes four times as long as the tuning said; acceptance is as tuned."""
    policy = AdaptiveLength(COSTS, 2)
    for number in range(200):
        shape = policy.shape(1)
        right = [0] if number % 5 == 0 else [1] * shape.depth
        row = judged(shape, *right) if shape.nodes else Judged(0, 0)
        policy.observe(shape, [row], 0.01 * (4.0 if shape.nodes else 1.0))
    assert policy.shape(1) == chain(0)


def test_a_probe_looks_at_another_plan_now_and_then() -> None:
    policy = AdaptiveLength(COSTS, 2)
    seen = []
    for _ in range(80):
        shape = policy.shape(1)
        seen.append(shape)
        policy.observe(shape, [judged(shape, *[1] * shape.depth)], 0.01 * COSTS.round_time(1, shape))
    assert seen[:8] == [comb((3, 3))] * 8, "as tuned"
    assert seen[10] == seen[50] == chain(0), "what no draft takes is looked at first"
    assert seen[51:] == [chain(2)] * 29, "nothing is ever rejected, so one candidate is enough"


def test_what_a_round_tells() -> None:
    """Rows: first candidates; first, then 2; 3; and one that was stopped after its first token."""
    policy, shape = AdaptiveLength(COSTS, 2), comb((3, 3))
    rows = [judged(shape, 1, 1), judged(shape, 1, 2), judged(shape, 3), Judged(1, 1, ((3, 1),))]
    policy.observe(shape, rows, 0.01)
    memory, prior = 0.97, 24.0
    first, second = ([share.value for share in shares] for shares in policy._acceptance)
    for found, chances, hits, tried in ((first, ACCEPTANCE[0], (3, 0, 1), 4), (second, ACCEPTANCE[1], (1, 1, 0), 2)):
        wanted = [
            (chance * prior * memory + hit) / (prior * memory + tried)
            for chance, hit in zip(chances, hits, strict=True)
        ]
        assert found == pytest.approx(wanted)


def test_a_chain_tells_nothing_of_other_candidates() -> None:
    policy = AdaptiveLength(COSTS, 2)
    policy.observe(chain(2), [judged(chain(2), 1, 0)], 0.01)
    assert [share.value for share in policy._acceptance[0][1:]] == pytest.approx(list(ACCEPTANCE[0][1:]))


def test_a_fixed_draft_is_fixed() -> None:
    policy = FixedLength(2, 3)
    assert policy.shape(5) == comb((3, 3)) and policy.most_nodes == 6
