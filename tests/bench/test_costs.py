"""Costs that tuning measures: every length at every number of rows, a perfect draft, and what is kept of them."""

from __future__ import annotations

import pytest
import torch

from spear_accel.bench.costs import TimedDrafts, TunePlan, measure_costs
from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.stats import Judged
from spear_accel.decoding.tuning import Tuning
from spear_accel.heads import build_head
from spear_accel.model import TextToSemantic, TextToSemanticConfig

PLAN = TunePlan(rows=(1, 3), longest=3, tokens=30, utterances=4, repeats=1)
TEXTS = [[3, 4, 5], [6, 7], [8, 9, 10, 11]]


@pytest.fixture(scope="module")
def model() -> TextToSemantic:
    torch.manual_seed(1)
    return TextToSemantic(TextToSemanticConfig(
        text_vocab_size=30, semantic_units=20, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=1,
        decoder_layers=2, ff_inner=48,
    )).eval()  # fmt: skip


def test_every_length_is_measured_at_every_number_of_rows(model: TextToSemantic) -> None:
    torch.manual_seed(2)
    heads = {kind: build_head(kind, shape, model.config) for kind, shape in (("prophet", {}),
             ("prophet-linear", {"horizon": 2}))}  # fmt: skip
    tuning = measure_costs(model, Drafting(heads, model), TEXTS, DecodeOptions(seed=1), PLAN)
    assert set(tuning.methods) == {"prophet", "prophet-linear", "draft-model", "ngram", "jacobi"}
    for method, longest in (("prophet", 3), ("prophet-linear", 2), ("draft-model", 3)):
        costs = tuning.methods[method]
        assert costs.longest == len(costs.acceptance) == longest
        assert set(costs.rounds) == {1, 3}
        assert all(time > 0.0 for times in costs.rounds.values() for time in times)
    assert tuning.methods["draft-model"].acceptance == (1.0, 1.0, 1.0), "the model drafts for itself"
    assert max(tuning.methods["prophet"].acceptance) < 1.0
    assert Tuning.from_dict(tuning.to_dict(), "here") == tuning


def test_drafts_take_turns_and_only_full_rounds_are_timed() -> None:
    policy = TimedDrafts([(), (1,), (1, 1)], rows=2)
    assert [policy.widths(2) for _ in range(4)] == [(), (1,), (1, 1), ()]
    policy.observe((1, 1), [Judged(2, 1), Judged(2, 2)], 0.5)
    policy.observe((1,), [Judged(1, 0)], 0.1)
    assert dict(policy.seconds) == {(1, 1): [0.5]}
    assert (policy.reached, policy.passed) == ([3, 2], [2, 1])
    assert policy.node_time(1.0) is None


def test_candidates_are_counted_where_the_chain_got_to() -> None:
    """Rows: chain of two; sibling 2 at depth 1; chain, then sibling 3; nothing right."""
    policy = TimedDrafts([(), (1,), (1, 1), (3, 3)], rows=4)
    policy.observe((3, 3), [Judged(2, 2), Judged(2, 1, 2), Judged(2, 2, 3), Judged(2, 0)], 1.0)
    assert (policy.reached, policy.passed) == ([4, 2], [2, 1])
    assert (policy.tried, policy.right) == (6, [1, 1])
    policy.observe((1, 1), [Judged(2, 0)] * 4, 0.6)
    assert policy.node_time(0.5) == pytest.approx(0.4 / 4 / 0.5)
