"""Costs that tuning measures: every length at every number of rows, a perfect draft, and what is kept of them."""

from __future__ import annotations

import pytest
import torch

from spear_accel.accelerate.costs import TimedDrafts, TunePlan, measure_costs
from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import chain, comb
from spear_accel.errors import UserError
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
        assert costs.anywhere == (method == "prophet-linear")
        assert all(0.0 < sum(chances) <= 1.0 + 1e-9 for chances in costs.acceptance)
        assert set(costs.rounds) == {1, 3}
        assert all(time > 0.0 for times in costs.rounds.values() for time in times)
    itself = tuning.methods["draft-model"].acceptance
    assert [chances[0] for chances in itself] == [1.0, 1.0, 1.0], "the model drafts for itself"
    assert max(chances[0] for chances in tuning.methods["prophet"].acceptance) < 1.0
    assert all(set(costs.node) == {1, 3} for name, costs in tuning.methods.items() if name not in ("ngram", "jacobi"))
    assert Tuning.from_dict(tuning.to_dict(), "here") == tuning


def test_drafts_take_turns_and_only_full_rounds_are_timed() -> None:
    timed = TimedDrafts([chain(0), chain(1), chain(2)], rows=2)
    assert not timed.complete
    seen = []
    for number in range(16):
        seen.append(timed.plan(2).shape)
        timed.observe(DraftPlan(seen[-1]), [RowOutcome(0, 0, ())] * (1 if number == 2 else 2), 0.1 * number)
    # Not the first round of a stretch, and not the third, in which a row was gone.
    assert [shape.nodes for shape in seen] == [0] * 6 + [1] * 5 + [2] * 5
    assert timed.seconds[chain(0)] == pytest.approx([0.1, 0.3, 0.4, 0.5])
    assert timed.seconds[chain(1)] == pytest.approx([0.7, 0.8, 0.9, 1.0])
    assert timed.complete
    assert timed.times(0.1) == pytest.approx((3.5, 8.5, 13.5))
    assert timed.node_time(1.0) is None


def test_acceptance_is_counted_in_all_rounds() -> None:
    timed = TimedDrafts([chain(0), chain(1), chain(2)], rows=2)
    timed.observe(DraftPlan(chain(2)), [RowOutcome(2, 1, ((1, 1), (1, 0))), RowOutcome(2, 2, ((1, 1), (1, 1)))], 0.5)
    timed.observe(DraftPlan(chain(1)), [RowOutcome(1, 0, ((1, 0),))], 0.1)
    assert (timed.tried, timed.accepted) == ([[3], [2]], [[2], [1]])


def test_texts_too_short_to_measure_by_are_refused(model: TextToSemantic) -> None:
    plan = TunePlan(rows=(1,), longest=8, tokens=1, utterances=1, repeats=0)
    with pytest.raises(UserError, match="too short to measure"):
        measure_costs(model, Drafting(), TEXTS[:1], DecodeOptions(seed=1), plan)


def test_candidates_are_counted_where_the_path_got_to() -> None:
    """Rows: first candidates twice; candidate 2 at depth 1, a leaf; then candidate 3 at depth 2; nothing right."""
    wide = comb((3, 3))
    timed = TimedDrafts([chain(0), chain(1), chain(2), wide], rows=4)
    steps = (((3, 1), (3, 1)), ((3, 2),), ((3, 1), (3, 3)), ((3, 0),))
    timed.observe(DraftPlan(chain(0)), [RowOutcome(0, 0, ())] * 4, 9.0)
    timed.observe(DraftPlan(wide), [RowOutcome(2, sum(right > 0 for _, right in own), own) for own in steps], 1.0)
    assert timed.tried == [[4, 4, 4], [2, 2, 2]]
    assert timed.accepted == [[2, 1, 0], [1, 0, 1]]
    timed.observe(DraftPlan(chain(2)), [RowOutcome(2, 0, ((1, 0),))] * 4, 0.6)
    assert timed.node_time(0.5) == pytest.approx(0.4 / 4 / 0.5)
