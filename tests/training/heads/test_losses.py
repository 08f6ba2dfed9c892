"""The loss and the acceptance of draft heads against loops in plain Python."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spear_accel.decoding.sampling import SamplingParams
from spear_accel.errors import UserError
from spear_accel.training.heads.losses import STEPS_SHOWN, AcceptanceCounts, HeadLoss, HeadReport, Labels, ahead
from spear_accel.training.loop.losses import IGNORED
from spear_accel.training.loop.settings import build

TOKENS = torch.tensor([[2, 0, 3, 1, 4, 4], [1, 1, 4, IGNORED, IGNORED, IGNORED]])
ROWS, SLOTS, VOCAB, HORIZON = 2, 6, 5, 3
POSITIONS = torch.tensor([0, 2, 5])
DISTILL_AT, DRAWN_AT = 0.7, 1.3


@pytest.fixture
def trunk() -> Tensor:
    torch.manual_seed(0)
    return 2 * torch.randn(ROWS, SLOTS, VOCAB)


@pytest.fixture
def draft() -> Tensor:
    torch.manual_seed(1)
    return 2 * torch.randn(ROWS, len(POSITIONS), HORIZON, VOCAB)


def labels_of(trunk: Tensor, tokens: Tensor = TOKENS) -> Labels:
    return Labels.of(trunk, tokens, DISTILL_AT, DRAWN_AT)


def law(logits: Tensor, temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in logits.tolist()]
    return [power / sum(powers) for power in powers]


def divergence(wanted: list[float], found: list[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(wanted, found, strict=True))


def by_hand(trunk: Tensor, draft: Tensor, distill: float, cross: float, weights: list[float]) -> tuple[float, float]:
    """Loss and weight, one drafted token after another."""
    cost = weight = 0.0
    for row in range(ROWS):
        for number, position in enumerate(POSITIONS.tolist()):
            for depth in range(HORIZON):
                slot = position + depth
                if slot >= SLOTS or TOKENS[row, slot] == IGNORED:
                    continue
                scores = draft[row, number, depth]
                apart = divergence(law(trunk[row, slot], DISTILL_AT), law(scores, DISTILL_AT))
                said = -math.log(law(scores, DRAWN_AT)[int(TOKENS[row, slot])])
                cost += weights[depth] * (distill * apart + cross * said)
                weight += weights[depth]
    return cost, weight


@pytest.mark.parametrize(
    ("distill", "cross", "weights"),
    [
        (1.0, 0.0, (1.0, 0.5, 0.25)),
        (0.0, 1.0, (1.0, 1.0, 1.0)),
        (0.3, 2.0, (2.0, 0.0, 3.0)),
        (1.0, 0.1, ()),
    ],
)
def test_loss_by_hand(trunk: Tensor, draft: Tensor, distill: float, cross: float, weights: tuple[float, ...]) -> None:
    loss = HeadLoss(distill, cross, weights)
    wanted = by_hand(trunk, draft, distill, cross, list(weights) or [1.0, 0.8, 0.64])
    cost, weight = loss(draft, labels_of(trunk), POSITIONS)
    assert (cost.item(), weight.item()) == pytest.approx(wanted, rel=1e-5)


def said_by(trunk: Tensor) -> Tensor:
    """What a head with the trunk's own logits says, [B, P, n, V]; arbitrary past the end."""
    rows = [
        [[trunk[b, p + j] if p + j < SLOTS else torch.randn(VOCAB) for j in range(HORIZON)] for p in POSITIONS.tolist()]
        for b in range(ROWS)
    ]
    return torch.stack([torch.stack([torch.stack(depths) for depths in row]) for row in rows])


def test_nothing_is_left_to_distill_where_head_and_trunk_agree(trunk: Tensor) -> None:
    perfect = said_by(trunk)
    cost, weight = HeadLoss()(perfect, labels_of(trunk), POSITIONS)
    assert cost.item() == pytest.approx(0.0, abs=1e-5)
    assert weight.item() > 4.0
    shifted, _ = HeadLoss()(perfect + torch.randn(ROWS, len(POSITIONS), HORIZON, 1), labels_of(trunk), POSITIONS)
    assert shifted.item() == pytest.approx(0.0, abs=1e-5), "only differences of logits count"
    flatter, _ = HeadLoss()(0.9 * perfect, labels_of(trunk), POSITIONS)
    assert flatter.item() > 1e-3


def test_what_is_not_said_does_not_count(trunk: Tensor, draft: Tensor) -> None:
    loss, labels = HeadLoss(1.0, 1.0), labels_of(trunk)
    wanted = loss(draft, labels, POSITIONS)
    changed = draft.clone()
    changed[:, 2, 1:] += 50.0 * torch.randn(ROWS, 2, VOCAB)  # behind the last slot
    changed[1, 1, 1:] = 9.0  # padding of the short row
    changed[1, 2] = -7.0
    torch.testing.assert_close(loss(changed, labels, POSITIONS), wanted)
    changed[0, 2, 0] += torch.randn(VOCAB)
    assert loss(changed, labels, POSITIONS)[0] != wanted[0]


def test_gradients_reach_the_head_and_spare_the_trunk(trunk: Tensor, draft: Tensor) -> None:
    trunk.requires_grad_()
    draft.requires_grad_()
    HeadLoss(1.0, 1.0)(draft, labels_of(trunk), POSITIONS)[0].backward()
    assert trunk.grad is None
    counted = ahead(TOKENS, POSITIONS, HORIZON, IGNORED) != IGNORED
    assert draft.grad is not None
    assert torch.equal(draft.grad.abs().sum(-1) > 0.0, counted)


def test_weights_fall_by_a_fifth_where_none_are_given() -> None:
    assert HeadLoss().weights(4) == pytest.approx([1.0, 0.8, 0.64, 0.512])
    assert HeadLoss(position_weights=[1.0, 0.0]).weights(2) == [1.0, 0.0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"distill": -1.0, "cross_entropy": 2.0}, r"loss\.distill is -1\.0; it should be greater than or equal to 0"),
        ({"cross_entropy": -1.0}, r"loss\.cross_entropy is -1\.0"),
        ({"distill": 0.0}, "loss: distill or cross_entropy must be above 0"),
        ({"position_weights": (1.0, -0.5)}, r"loss\.position_weights\[1\] is -0\.5"),
        ({"position_weights": (0.0, 1.0)}, "the first of position_weights must be above 0"),
        ({"positions": 0.0}, r"loss\.positions is 0\.0; it should be greater than 0"),
        ({"positions": 1.5}, r"loss\.positions is 1\.5; it should be less than or equal to 1"),
    ],
)
def test_wrong_losses_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(HeadLoss, fields, "run.yaml, heads.prophet.loss")


def test_one_weight_a_depth() -> None:
    with pytest.raises(UserError, match="2 position_weights for a horizon of 3"):
        HeadLoss(position_weights=(1.0, 0.5)).weights(3)


def test_ahead_looks_ahead() -> None:
    values = torch.tensor([[10, 11, 12], [20, 21, 22]])
    assert ahead(values, torch.tensor([0, 2]), 2).tolist() == [[[10, 11], [12, 12]], [[20, 21], [22, 22]]]
    assert ahead(values, torch.tensor([1]), 3, -1).tolist() == [[[11, 12, -1]], [[21, 22, -1]]]
    assert ahead(values[..., None].expand(2, 3, 4), torch.tensor([0]), 2).shape == (2, 1, 2, 4)


Draws = list[list[list[tuple[int, int]]]]
"""(drafted, said) of each row, position and depth."""


def draws(count: int) -> st.SearchStrategy[list[Draws]]:
    """Two batches of one to three rows; few tokens, so that hits are common."""
    pair = st.tuples(st.integers(0, 1), st.sampled_from((0, 1, IGNORED)))
    batches = [
        st.integers(1, 6).flatmap(
            lambda places: st.lists(
                st.lists(st.lists(pair, min_size=count, max_size=count), min_size=places, max_size=places),
                min_size=1,
                max_size=3,
            )
        )
        for _ in range(2)
    ]
    return st.tuples(*batches).map(list)


def counted_slowly(batches: list[Draws], shown: int) -> dict[str, float]:
    """`shown` drafts from each start; those of heads that say one token a position lie side by side."""
    hits, chains, offered = [0] * shown, [0] * shown, [0] * shown
    for batch in batches:
        for row in batch:
            for start, own in enumerate(row):
                following = own if len(own) > 1 else [place[0] for place in row[start:]]
                whole = True
                for depth, (drafted, said) in enumerate(following[:shown]):
                    hit = said != IGNORED and drafted == said
                    whole = whole and hit
                    hits[depth] += hit
                    chains[depth] += whole
                    offered[depth] += said != IGNORED
    depths = range(shown)
    chain = [chains[j] / offered[j] if offered[j] else 0.0 for j in depths]
    return {
        **{f"acceptance_{j + 1}": hits[j] / offered[j] if offered[j] else 0.0 for j in depths},
        **{f"chain_{j + 1}": chain[j] for j in depths},
        "tokens_per_round": 1.0 + sum(chain),
    }


def counted(batches: list[Draws], single_step: bool = False) -> dict[str, float]:
    counts = AcceptanceCounts(single_step)
    for batch in batches:
        drafted, said = torch.tensor(batch).unbind(-1)
        counts.add(drafted, said)
    return counts.metrics()


@settings(max_examples=60)
@given(st.integers(2, 4).flatmap(draws))
def test_drafts_of_several_tokens_are_counted(batches: list[Draws]) -> None:
    assert counted(batches) == pytest.approx(counted_slowly(batches, len(batches[0][0][0])))


@settings(max_examples=60)
@given(draws(1))
def test_drafts_of_one_token_are_followed_along(batches: list[Draws]) -> None:
    assert counted(batches, single_step=True) == pytest.approx(counted_slowly(batches, STEPS_SHOWN))


def test_counts_of_an_example() -> None:
    """Starts at 0 and 1 of a row of four: three hits in a row, then a miss; hit, hit, miss."""
    drafted = torch.tensor([[[1, 2, 3, 9], [2, 3, 9, 7]]])
    said = torch.tensor([[[1, 2, 3, 4], [2, 3, 4, IGNORED]]])
    counts = AcceptanceCounts()
    counts.add(drafted, said)
    metrics = counts.metrics()
    assert [metrics[f"acceptance_{j}"] for j in (1, 2, 3, 4)] == [1.0, 1.0, 0.5, 0.0]
    assert [metrics[f"chain_{j}"] for j in (1, 2, 3, 4)] == [1.0, 1.0, 0.5, 0.0]
    assert metrics["tokens_per_round"] == 3.5


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_report_by_hand(trunk: Tensor, draft: Tensor, temperature: float) -> None:
    """Head and trunk draw with the noise of the slot that they speak of."""
    torch.manual_seed(2)
    gumbel = -torch.log(-torch.log(torch.rand(ROWS, SLOTS, VOCAB))) if temperature else None
    report = HeadReport(HeadLoss(), SamplingParams(temperature))
    for _ in range(2):
        report.add(draft, POSITIONS, labels_of(trunk), gumbel)
    agreed = number = 0
    batch: Draws = [[[(0, IGNORED)] * HORIZON for _ in POSITIONS] for _ in range(ROWS)]
    for b in range(ROWS):
        for p, position in enumerate(POSITIONS.tolist()):
            for j in range(HORIZON):
                slot = position + j
                if slot >= SLOTS or TOKENS[b, slot] == IGNORED:
                    continue
                mine, its = draft[b, p, j], trunk[b, slot]
                number += 1
                agreed += int(mine.argmax() == its.argmax())
                if gumbel is not None:
                    mine, its = mine / temperature + gumbel[b, slot], its / temperature + gumbel[b, slot]
                batch[b][p][j] = (int(mine.argmax()), int(its.argmax()))
    cost, weight = by_hand(trunk, draft, 1.0, 0.0, [1.0, 0.8, 0.64])
    wanted = {"loss": cost / weight, "top1": agreed / number, **counted_slowly([batch, batch], HORIZON)}
    assert report.metrics() == pytest.approx(wanted, rel=1e-5)


def test_a_head_that_is_the_trunk_is_always_right(trunk: Tensor) -> None:
    torch.manual_seed(3)
    report = HeadReport(HeadLoss(), SamplingParams(0.7))
    report.add(said_by(trunk), POSITIONS, labels_of(trunk), torch.randn_like(trunk))
    metrics = report.metrics()
    assert metrics.pop("loss") == pytest.approx(0.0, abs=1e-5)
    assert metrics.pop("tokens_per_round") == HORIZON + 1
    assert set(metrics.values()) == {1.0}
