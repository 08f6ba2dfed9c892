"""Adaptive exit: where drafts stop, row by row, and how the threshold follows acceptance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.control.confidence import ConfidenceExitController, ConfidenceGate, ExitThreshold
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.sampling import BatchSampling, SamplingParams
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import chain


def test_the_unsure_token_is_kept_and_nothing_follows_it() -> None:
    """Greedy drafts of two rows whose probabilities are given by depth; the second row stops first."""
    sure = torch.tensor([[0.9, 0.9, 0.4, 0.9], [0.9, 0.3, 0.9, 0.9]])
    asked: list[int] = []

    def step(token: Tensor) -> Tensor:
        depth = len(asked)
        asked.append(depth)
        rest = (1.0 - sure[:, depth]) / 4
        return torch.stack([sure[:, depth], rest, rest, rest, rest], dim=-1)[:, None].log()

    noise = RowNoise(torch.zeros(2, 2).long(), torch.zeros(2).long(), torch.arange(5), greedy=True)
    sampling = BatchSampling([SamplingParams(1.0)] * 2, torch.device("cpu"))
    context = DraftContext(
        state=None, last_token=torch.zeros(2, 1).long(), committed=[[], []], noise=noise, sampling=sampling,
        history=None, minimum=[0, 0], eos_id=4, laws=True, plan=DraftPlan(chain(4), ConfidenceGate(0.5)),
    )  # type: ignore[arg-type] # fmt: skip
    proposal = draft_stepwise(context, step)
    assert proposal.lengths.tolist() == [3, 2]
    assert proposal.tokens.shape == (2, 3) and len(asked) == 3, "no step is taken once all rows are unsure"


def test_the_threshold_follows_the_published_rule() -> None:
    threshold = ExitThreshold(greedy=False)
    assert threshold.value == 0.5 and ExitThreshold(greedy=True).value == 0.8
    threshold.observe(1, 4, whole=True)
    assert threshold.value == pytest.approx(0.5 + 0.1 * 0.01), "too little was accepted"
    held = ExitThreshold(greedy=False)
    held.observe(8, 8, whole=True)
    assert held.value == 0.5, "all accepted, all drafted"
    held.observe(6, 6, whole=False)
    assert held.value == pytest.approx(0.5 - 0.1 * 0.01), "all accepted, but drafts stopped short"
    held.observe(0, 0, whole=True)
    assert held.value == pytest.approx(0.5 - 0.1 * 0.01)


def test_acceptance_is_smoothed() -> None:
    threshold = ExitThreshold(greedy=False)
    threshold.observe(8, 8, whole=False)
    low = threshold.value
    threshold.observe(7, 8, whole=False)
    assert threshold.value < low, "the mean of 1 and 7/8 is above the target of 0.9"
    threshold.observe(4, 8, whole=False)
    assert threshold.value > low - 0.0011


def test_the_controller_hands_the_threshold_to_the_next_draft() -> None:
    """Rows: 3 of 4 nodes drafted and 1 accepted; 4 drafted and 0 accepted."""
    controller = ConfidenceExitController(4, greedy=False)
    plan = controller.plan(2)
    assert plan == DraftPlan(chain(4), ConfidenceGate(0.5)) and controller.max_nodes == 4
    outcomes = [RowOutcome(3, 1, path=(0,), drafted=3), RowOutcome(4, 0, drafted=4)]
    controller.observe(plan, outcomes, 0.1)
    threshold = ExitThreshold(greedy=False)
    threshold.observe(1, 7, whole=False)
    assert controller.plan(1).gate == ConfidenceGate(threshold.value)
