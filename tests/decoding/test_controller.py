"""The choice of drafts: promises by hand, what is learned from rounds, and when not to draft."""

from __future__ import annotations

import pytest

from spear_accel.decoding.controller import AdaptiveLength, DraftCosts, FixedLength, expected_tokens, plans
from spear_accel.decoding.stats import Judged

COSTS = DraftCosts((0.8, 0.5), (0.1, 0.05), {1: (1.0, 1.2, 1.4), 8: (1.0, 1.6, 2.2)}, {1: 0.01, 8: 0.3})


def test_expected_tokens_by_hand() -> None:
    assert expected_tokens((0.8, 0.5), (), ()) == 1.0
    assert expected_tokens((0.8, 0.5), (), (1, 1)) == pytest.approx(1 + 0.8 + 0.8 * 0.5)
    assert expected_tokens((0.8, 0.5), (0.1,), (2, 2)) == pytest.approx(1 + 0.9 + 0.8 * 0.6)
    assert expected_tokens((0.8, 0.5), (0.1,), (2, 1)) == pytest.approx(1 + 0.9 + 0.8 * 0.5)
    assert expected_tokens((0.9,), (0.2,), (2,)) == 2.0, "a chance is at most 1"


def test_plans_are_chains_and_chains_with_candidates() -> None:
    assert plans(2, 1) == [(), (1,), (1, 1)]
    assert plans(2, 3) == [(), (1,), (1, 1), (2,), (2, 2), (3,), (3, 3)]


def test_cheap_nodes_bring_candidates_and_dear_ones_do_not() -> None:
    assert COSTS.round_time(1, (3, 3)) == pytest.approx(1.4 + 4 * 0.01)
    assert COSTS.speedup(1)[1] == (3, 3)
    promise, widths = COSTS.speedup(8)
    assert widths == (1,) and promise == pytest.approx(1.8 / 1.6)
    assert COSTS.speedup(6) == COSTS.speedup(8), "the nearest number of rows counts"


def test_without_siblings_there_is_one_candidate() -> None:
    costs = DraftCosts((0.8, 0.5), (), {1: (1.0, 1.2, 1.4)})
    assert AdaptiveLength(costs, 2).widths(1) == (1, 1)
    assert AdaptiveLength(COSTS, 2, candidates=1).widths(1) == (1, 1)
    assert AdaptiveLength(COSTS, 1).widths(1) == (3,)
    assert AdaptiveLength(COSTS, 2).most_nodes == 6


def test_bad_luck_shortens_the_draft() -> None:
    policy = AdaptiveLength(COSTS, 2)
    assert policy.widths(1) == (3, 3)
    for _ in range(120):
        widths = policy.widths(1)
        policy.observe(widths, [Judged(len(widths), 0)], 0.01 * COSTS.round_time(1, widths))
    assert policy.widths(1) in ((), (1,))


def test_slow_rounds_shorten_the_draft() -> None:
    """Drafting takes four times as long as the tuning said; acceptance is as tuned."""
    policy = AdaptiveLength(COSTS, 2)
    for number in range(200):
        widths = policy.widths(1)
        chain = len(widths) if number % 5 else 0
        policy.observe(widths, [Judged(len(widths), chain)], 0.01 * (4.0 if widths else 1.0))
    assert policy.widths(1) == ()


def test_a_probe_looks_at_a_neighbour_now_and_then() -> None:
    policy = AdaptiveLength(COSTS, 2)
    seen = []
    for _ in range(80):
        widths = policy.widths(1)
        seen.append(widths)
        policy.observe(widths, [Judged(len(widths), len(widths))], 0.01 * COSTS.round_time(1, widths))
    assert seen[:8] == [(3, 3)] * 8, "as tuned"
    assert seen[40:79] == [(1, 1)] * 39, "nothing is ever rejected, so one candidate is enough"
    assert seen[39] != seen[38] and seen[79] != (1, 1)


def test_what_a_round_tells() -> None:
    """Rows: whole chain; sibling 2 at the second depth; sibling 3 at the first; stopped after one accepted token."""
    policy = AdaptiveLength(COSTS, 2)
    rows = [Judged(2, 2), Judged(2, 2, 2), Judged(2, 1, 3), Judged(1, 1)]
    policy.observe((3, 3), rows, 0.01)
    first, second = policy._acceptance
    assert first.value == pytest.approx((0.8 * 24 * 0.97 + 3) / (24 * 0.97 + 4))
    assert second.value == pytest.approx((0.5 * 24 * 0.97 + 1) / (24 * 0.97 + 2))
    memory = 0.97
    tried = (24 * memory + 4) * memory + 2
    right = ((0.1 * 24 * memory + 0) * memory + 1, (0.05 * 24 * memory + 1) * memory + 0)
    assert [share.value for share in policy._siblings] == pytest.approx([count / tried for count in right])


def test_a_fixed_draft_is_fixed() -> None:
    policy = FixedLength(2, 3)
    assert policy.widths(5) == (3, 3) and policy.most_nodes == 6 and policy.longest == 2
