"""The choice of a shape before the draft: bounds, what is learned from rounds, and when not to draft."""

from __future__ import annotations

from spear_accel.decoding.control.adaptive import AdaptiveController
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.fixed import FixedController
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import TreeShape, chain, comb

ACCEPTANCE = ((0.8, 0.1, 0.05), (0.5, 0.1, 0.05))
TIMES = {1: (1.0, 1.2, 1.4), 8: (1.0, 1.6, 2.2)}
COSTS = DraftCosts(ACCEPTANCE, TIMES, {1: 0.01, 8: 0.3})


def outcome(shape: TreeShape, *ranks: int) -> RowOutcome:
    """A row whose path goes along candidates `ranks` by depth, as far as they are not 0."""
    steps, node = [], -1
    for rank in ranks:
        family = shape.children[node + 1]
        steps.append((len(family), rank))
        if not rank:
            break
        node = family[rank - 1]
    return RowOutcome(shape.depth, sum(rank > 0 for _, rank in steps), tuple(steps))


def test_bounds_are_kept() -> None:
    assert AdaptiveController(DraftCosts(ACCEPTANCE, TIMES), 2).plan(1) == DraftPlan(chain(2))
    assert AdaptiveController(COSTS, 2, candidates=1).plan(1).shape == chain(2)
    assert AdaptiveController(COSTS, 1).plan(1).shape == comb((3,))
    assert AdaptiveController(COSTS, 2).max_nodes == 6


def test_bad_luck_shortens_the_draft() -> None:
    controller = AdaptiveController(COSTS, 2)
    assert controller.plan(1).shape == comb((3, 3))
    for _ in range(120):
        plan = controller.plan(1)
        row = outcome(plan.shape, 0) if plan.shape.nodes else RowOutcome(0, 0)
        controller.observe(plan, [row], 0.01 * COSTS.round_time(1, plan.shape))
    assert controller.plan(1).shape in (chain(0), chain(1))


def test_slow_rounds_shorten_the_draft() -> None:
    """Drafting takes four times as long as the tuning said; acceptance is as tuned."""
    controller = AdaptiveController(COSTS, 2)
    for number in range(200):
        plan = controller.plan(1)
        ranks = [0] if number % 5 == 0 else [1] * plan.shape.depth
        row = outcome(plan.shape, *ranks) if plan.shape.nodes else RowOutcome(0, 0)
        controller.observe(plan, [row], 0.01 * (4.0 if plan.shape.nodes else 1.0))
    assert controller.plan(1).shape == chain(0)


def test_a_probe_times_another_shape_now_and_then() -> None:
    controller = AdaptiveController(COSTS, 2)
    seen = []
    for _ in range(80):
        plan = controller.plan(1)
        seen.append(plan.shape)
        row = outcome(plan.shape, *[1] * plan.shape.depth)
        controller.observe(plan, [row], 0.01 * COSTS.round_time(1, plan.shape))
    assert seen[:8] == [comb((3, 3))] * 8, "as tuned"
    assert seen[10] == seen[50] == chain(0), "the time without a draft is measured first"
    assert seen[51:] == [chain(2)] * 29, "nothing is ever rejected, so one candidate is enough"


def test_other_numbers_of_rows_are_reviewed_at_once() -> None:
    """A controller outlives the job that it began with: rows come and go between rounds."""
    controller = AdaptiveController(COSTS, 2)
    assert [controller.plan(rows).shape for rows in (1, 8, 1, 8, 2)] == [
        comb((3, 3)), chain(1), comb((3, 3)), chain(1), comb((3, 3)),
    ]  # fmt: skip


def test_a_fixed_draft_is_fixed() -> None:
    controller = FixedController(comb((3, 3)))
    assert controller.plan(5) == controller.plan(1) == DraftPlan(comb((3, 3))) and controller.max_nodes == 6
