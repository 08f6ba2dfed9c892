"""Drafts shaped by their own doubts: what is learned of gaps, what prices do, and whether to draft at all."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from spear_accel.decoding.control.adaptive import DraftCosts
from spear_accel.decoding.control.dynamic import Odds, Prices, Worth
from spear_accel.decoding.control.on_off import DraftOrNot
from spear_accel.decoding.draft.base import Round
from spear_accel.decoding.draft.chain import draw_one_by_one
from spear_accel.decoding.noise import RowNoise, row_words
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import BatchSampling, SamplingParams
from spear_accel.decoding.stats import Judged
from spear_accel.decoding.tree import chain

VOCAB = 12
LENGTH = 6
COSTS = DraftCosts(((0.8, 0.1),) * 4, {1: (1.0, 1.2, 1.3, 1.4, 1.5), 8: (1.0, 1.6, 2.0, 2.4, 2.8)}, {1: 0.05, 8: 0.1})


def test_prices_are_what_the_time_brings_elsewhere() -> None:
    alone, many = Prices.of(COSTS, 1), Prices.of(COSTS, 8)
    speed = (1 + 0.8 + 0.8**2 + 0.8**3 + 0.8**4) / 1.5
    assert COSTS.speedup(1)[0] >= speed
    assert alone.depth == pytest.approx(COSTS.speedup(1)[0] * 0.1)
    assert alone.node == pytest.approx(COSTS.speedup(1)[0] * 0.05)
    assert many.depth == pytest.approx(8 * COSTS.speedup(8)[0] * 0.4)
    assert Prices.of(replace(COSTS, node={}), 1).node == math.inf
    twice = Prices.of(COSTS, 16)
    assert (twice.depth, twice.node) == pytest.approx((2 * many.depth, 2 * many.node)), "as 8 rows, two times"


def test_odds_begin_with_a_guess_and_learn() -> None:
    odds = Odds()
    chances = [odds.chances(gap) for gap in (0.1, 0.6, 1.2, 2.5, 5.0)]
    assert [first for first, _ in chances] == sorted(first for first, _ in chances)
    assert all(0.0 < first + second < 1.0 for first, second in chances)
    for _ in range(2000):
        odds.observe(0.1, 2, 2)
        odds.observe(2.5, 0, 1)
    first, second = odds.chances(0.1)
    assert first < 0.05 and second > 0.9
    assert odds.chances(2.5)[0] < 0.05
    assert odds.chances(1.2) == chances[2], "other gaps are not touched"
    assert odds.average < 0.05


def test_second_candidates_count_where_they_were_offered() -> None:
    odds, before = Odds(), Odds()
    odds.observe(0.1, 0, 1)
    shares = [second / (1.0 - first) for first, second in (odds.chances(0.1), before.chances(0.1))]
    assert shares[0] == pytest.approx(shares[1])


def sure(_: Tensor) -> Tensor:
    """Logits whose best and second-best are far apart in row 0 and equal in row 1, before the noise."""
    logits = torch.full((2, 1, VOCAB), -20.0)
    logits[0, 0, 3] = 20.0
    logits[1, 0, :2] = 20.0
    return logits


def start(prices: Prices | None, widest: int = 2, temperature: float = 1.0, odds: Odds | None = None) -> Round:
    words = torch.tensor([row_words(1, key) for key in (5, 6)])
    noise = RowNoise(words, torch.tensor([3, 3]), torch.arange(VOCAB), temperature == 0.0)
    worth = None if prices is None else Worth(odds or Odds(), prices, 2, widest)
    sampling = BatchSampling([SamplingParams(temperature)] * 2, torch.device("cpu"))
    return Round(
        None, torch.tensor([[1], [2]]), [[1] * 3, [2] * 3], noise, sampling, None, [0, 0], VOCAB - 1,  # type: ignore[arg-type]
        chain(LENGTH), appraisal=worth,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prices", "widths"),
    [
        (Prices(0.0, math.inf), (1,) * LENGTH),
        (Prices(0.0, 0.0), (2,) * LENGTH),
        (Prices(9.0, math.inf), (1,)),
        (Prices(9.0, 0.0), (2,)),
    ],
)
def test_extreme_prices(prices: Prices, widths: tuple[int, ...]) -> None:
    assert draw_one_by_one(start(prices), sure).shape.widths == widths
    assert draw_one_by_one(start(prices, widest=1), sure).shape.widths == (1,) * len(widths)


def test_a_depth_must_be_worth_it_to_all_rows_together() -> None:
    """Row 0 is nearly certain at every depth; row 1 is of two minds, and adds less with each."""
    worth = Worth(Odds(), Prices(depth=0.75, node=0.15), 2)
    widths = [worth.judge([depth - 1], [[5.0, 0.1]])[0][0] for depth in range(4)]
    assert worth.goes_on
    assert widths == [2, 1, 1, 1], "nobody expects row 1 to get far"
    alone = Worth(Odds(), Prices(depth=0.75, node=0.15), 1)
    alone.judge([-1], [[0.1]])
    assert not alone.goes_on


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("node", [0.0, math.inf])
def test_the_spine_is_the_chain_that_would_have_been_drawn(temperature: float, node: float) -> None:
    torch.manual_seed(0)
    table = torch.randn(VOCAB, VOCAB) * 2

    def step(token: Tensor) -> Tensor:
        return table[token]

    plain: Proposal = draw_one_by_one(start(None, temperature=temperature), step)
    shaped = draw_one_by_one(start(Prices(0.0, node), temperature=temperature), step)
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

    def fork(places: list[int]) -> None:
        nonlocal total
        total = total[:, places]

    current = start(None, temperature=temperature)
    worth = Worth(Odds(), Prices(depth=0.2, node=0.1), 2, forks=True)
    drafted = draw_one_by_one(replace(current, appraisal=worth), step, fork)
    shape, gumbel = drafted.shape, current.noise.gumbel(0, LENGTH)
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
    current = replace(start(Prices(0.0, 0.0), temperature=0.0), minimum=[99, 99])
    drafted = draw_one_by_one(current, lambda _: logits)
    assert drafted.tokens[:, 0].tolist() == [4, 4]
    assert bool((drafted.tokens[:, ::2] != drafted.tokens[:, 1::2]).all())


def play(policy: DraftOrNot, live: int, rounds: int, drafted: float, none: float, accepted: int) -> list[int]:
    """Depths asked for, where rounds take `drafted` or `none` seconds and `accepted` drafts are right."""
    depths = []
    for _ in range(rounds):
        shape = policy.shape(live)
        depths.append(shape.depth)
        judged = [Judged(shape.depth, accepted if shape.nodes else 0)] * live
        policy.observe(shape, judged, drafted if shape.nodes else none)
    return depths


def test_drafting_stands_where_it_pays() -> None:
    depths = play(DraftOrNot(COSTS, 8, 16), 1, 200, drafted=1.5, none=1.0, accepted=3)
    assert set(depths) == {0, 8}
    assert depths.count(0) <= 8, "a few looks at the other way"


def test_drafting_ends_where_it_does_not_pay() -> None:
    """Tuning promised much; this job accepts nothing."""
    depths = play(DraftOrNot(COSTS, 8, 16), 1, 200, drafted=1.5, none=1.0, accepted=0)
    assert depths[:10] == [8] * 10
    assert depths[14:].count(8) <= 8


def test_numbers_of_rows_are_judged_apart() -> None:
    policy = DraftOrNot(COSTS, 8, 16)
    play(policy, 1, 50, drafted=1.5, none=1.0, accepted=0)
    assert play(policy, 8, 5, drafted=1.5, none=1.0, accepted=3) == [8] * 5
