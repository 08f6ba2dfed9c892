"""Dynamic draft trees: what prices and gaps do to a draft, what is learned, and whether to draft at all."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.control.acceptance import AcceptanceEstimator
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.control.costs import DraftCosts, MarginalCost
from spear_accel.decoding.control.dynamic import DynamicTreeController, DynamicTreeGate
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.noise import RowNoise, row_words
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import BatchSampling, SamplingParams
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import chain

VOCAB = 12
LENGTH = 6
COSTS = DraftCosts(((0.8, 0.1),) * 4, {1: (1.0, 1.2, 1.3, 1.4, 1.5), 8: (1.0, 1.6, 2.0, 2.4, 2.8)}, {1: 0.05, 8: 0.1})


def sure(_: Tensor) -> Tensor:
    """Logits whose best and second-best are far apart in row 0 and equal in row 1, before the noise."""
    logits = torch.full((2, 1, VOCAB), -20.0)
    logits[0, 0, 3] = 20.0
    logits[1, 0, :2] = 20.0
    return logits


def start(cost: MarginalCost | None, candidates: int = 2, temperature: float = 1.0) -> DraftContext:
    words = torch.tensor([row_words(1, key) for key in (5, 6)])
    noise = RowNoise(words, torch.tensor([3, 3]), torch.arange(VOCAB), temperature == 0.0)
    gate = None if cost is None else DynamicTreeGate(AcceptanceEstimator(), cost, 2, candidates)
    sampling = BatchSampling([SamplingParams(temperature)] * 2, torch.device("cpu"))
    return DraftContext(
        None, torch.tensor([[1], [2]]), [[1] * 3, [2] * 3], noise, sampling, None, [0, 0], VOCAB - 1,  # type: ignore[arg-type]
        False, DraftPlan(chain(LENGTH), gate),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cost", "widths"),
    [
        (MarginalCost(0.0, math.inf), (1,) * LENGTH),
        (MarginalCost(0.0, 0.0), (2,) * LENGTH),
        (MarginalCost(9.0, math.inf), (1,)),
        (MarginalCost(9.0, 0.0), (2,)),
    ],
)
def test_extreme_prices(cost: MarginalCost, widths: tuple[int, ...]) -> None:
    assert draft_stepwise(start(cost), sure).shape.widths == widths
    assert draft_stepwise(start(cost, candidates=1), sure).shape.widths == (1,) * len(widths)


def test_a_depth_must_be_worth_it_to_all_rows_together() -> None:
    """Row 0 is nearly certain at every depth; row 1 has two likely candidates, and adds less with each depth."""
    gate = DynamicTreeGate(AcceptanceEstimator(), MarginalCost(depth=0.75, node=0.15), 2)
    widths = [gate.decide([depth - 1], [[5.0, 0.1]], False)[0][0] for depth in range(4)]
    assert gate.goes_on
    assert widths == [2, 1, 1, 1], "nobody expects row 1 to get far"
    alone = DynamicTreeGate(AcceptanceEstimator(), MarginalCost(depth=0.75, node=0.15), 1)
    alone.decide([-1], [[0.1]], False)
    assert not alone.goes_on


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("node", [0.0, math.inf])
def test_the_spine_is_the_chain_that_would_have_been_drawn(temperature: float, node: float) -> None:
    torch.manual_seed(0)
    table = torch.randn(VOCAB, VOCAB) * 2

    def step(token: Tensor) -> Tensor:
        return table[token]

    plain: Proposal = draft_stepwise(start(None, temperature=temperature), step)
    shaped = draft_stepwise(start(MarginalCost(0.0, node), temperature=temperature), step)
    assert torch.equal(shaped.tokens[:, list(shaped.shape.spine)], plain.tokens)
    if node == 0.0:
        pairs = shaped.tokens.view(2, LENGTH, 2)
        assert bool((pairs[..., 0] != pairs[..., 1]).all()), "siblings differ"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_branches_go_on_from_their_own_past(temperature: float) -> None:
    """A drafter whose law depends on all tokens so far: every node is one of the two best behind its own path."""
    torch.manual_seed(1)
    table = torch.randn(VOCAB, VOCAB)
    total = torch.zeros(2, 1, dtype=torch.int64)

    def step(tokens: Tensor) -> Tensor:
        nonlocal total
        total = (total + tokens) % VOCAB
        return table[total]

    def branch(places: list[int]) -> None:
        nonlocal total
        total = total[:, places]

    context = start(MarginalCost(depth=0.2, node=0.1), temperature=temperature)
    drafted = draft_stepwise(context, step, branch)
    shape, gumbel = drafted.shape, context.noise.gumbel(0, LENGTH)
    assert not shape.is_chain
    assert any(shape.children[node + 1] for node, rank in enumerate(shape.ranks) if rank == 2), "a second goes on"
    for node, parent in enumerate(shape.parents):
        path = [] if parent < 0 else [*torch.nonzero(shape.on(torch.device("cpu")).ancestry[parent])[:, 0].tolist()]
        for row in range(2):
            read = (row + 1 + int(drafted.tokens[row, path].sum())) % VOCAB
            logits, depth = table[read], shape.depths[node] - 1
            scores = logits if gumbel is None else logits.log_softmax(-1) + gumbel[row, depth]
            assert drafted.tokens[row, node] == scores.topk(2).indices[shape.ranks[node] - 1]


def test_greedy_siblings_respect_what_the_law_forbids() -> None:
    """EOS has the best logit and is forbidden: the law passes it over, and it may stand as the second at most."""
    logits = torch.zeros(2, 1, VOCAB)
    logits[..., VOCAB - 1], logits[..., 4] = 3.0, 2.0
    context = replace(start(MarginalCost(0.0, 0.0), temperature=0.0), minimum=[99, 99])
    drafted = draft_stepwise(context, lambda _: logits)
    assert drafted.tokens[:, 0].tolist() == [4, 4]
    assert bool((drafted.tokens[:, ::2] != drafted.tokens[:, 1::2]).all())


def play(
    controller: DynamicTreeController, rows: int, rounds: int, drafted: float, none: float, accepted: int
) -> list[int]:
    """Depths asked for, where rounds take `drafted` or `none` seconds and `accepted` drafts are right."""
    depths = []
    for _ in range(rounds):
        plan = controller.plan(rows)
        depth = plan.shape.depth
        depths.append(depth)
        controller.observe(plan, [RowOutcome(depth, accepted if depth else 0)] * rows, drafted if depth else none)
    return depths


def test_drafting_stands_where_it_pays() -> None:
    depths = play(DynamicTreeController(COSTS, 8, True), 1, 200, drafted=1.5, none=1.0, accepted=3)
    assert set(depths) == {0, 8}
    assert depths.count(0) <= 8, "a few probes"


def test_drafting_ends_where_it_does_not_pay() -> None:
    """Tuning promised much; this job accepts nothing."""
    depths = play(DynamicTreeController(COSTS, 8, True), 1, 200, drafted=1.5, none=1.0, accepted=0)
    assert depths[:10] == [8] * 10
    assert depths[14:].count(8) <= 8


def test_numbers_of_rows_are_judged_apart() -> None:
    controller = DynamicTreeController(COSTS, 8, True)
    play(controller, 1, 50, drafted=1.5, none=1.0, accepted=0)
    assert play(controller, 8, 5, drafted=1.5, none=1.0, accepted=3) == [8] * 5


def test_a_gate_tells_what_followed_each_node() -> None:
    """Nodes: two candidates behind the root, one behind the first of them. Rows: both first; the second; none."""
    acceptance = AcceptanceEstimator()
    gate = DynamicTreeGate(acceptance, MarginalCost(depth=0.0, node=0.3), 3)
    assert gate.decide([-1], [[0.1, 0.6, 1.2]], False) == [(2, 1)]
    assert gate.decide([0], [[2.5, 2.5, 2.5]], False) == [(1, 1)]
    gate.learn([RowOutcome(2, 2, path=(0, 2)), RowOutcome(2, 1, path=(1,)), RowOutcome(2, 0)])
    wanted = AcceptanceEstimator()
    for gap, rank, width in ((0.1, 1, 2), (2.5, 1, 1), (0.6, 2, 2), (1.2, 0, 2)):
        wanted.observe_gap(gap, rank, width)
    for gap in (0.1, 0.6, 1.2, 2.5):
        assert acceptance.by_gap(gap) == pytest.approx(wanted.by_gap(gap))


def test_a_round_without_a_draft_has_no_gate() -> None:
    controller = DynamicTreeController(COSTS, 8, True)
    plans = [controller.plan(1) for _ in range(12)]
    assert [plan.gate is None for plan in plans] == [False] * 10 + [True] * 2
