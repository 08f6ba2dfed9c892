"""The acceptance estimator: priors, what each outcome says by rank and by gap, and how old outcomes fade."""

from __future__ import annotations

import pytest

from spear_accel.decoding.control.acceptance import AcceptanceEstimator, candidate_counts
from spear_accel.decoding.stats import RowOutcome

PRIOR = ((0.8, 0.1, 0.05), (0.5, 0.1, 0.05))


def outcome(*steps: tuple[int, int]) -> RowOutcome:
    """A row by (candidates offered, rank of the accepted one) at each depth that its path got to."""
    return RowOutcome(2, sum(rank > 0 for _, rank in steps), steps)


def test_ranks_start_from_the_prior_and_follow_the_outcomes() -> None:
    """Rows: first candidates; first, then second; third; and one that stopped after its first token."""
    acceptance = AcceptanceEstimator(PRIOR)
    for found, prior in zip(acceptance.by_rank, PRIOR, strict=True):
        assert found == pytest.approx(prior)
    rows = [outcome((3, 1), (3, 1)), outcome((3, 1), (3, 2)), outcome((3, 3)), RowOutcome(1, 1, ((3, 1),))]
    acceptance.observe_ranks(rows)
    memory, weight = 0.97, 24.0
    for found, prior, accepted, tried in zip(acceptance.by_rank, PRIOR, ((3, 0, 1), (1, 1, 0)), (4, 2), strict=True):
        wanted = [
            (chance * weight * memory + count) / (weight * memory + tried)
            for chance, count in zip(prior, accepted, strict=True)
        ]
        assert found == pytest.approx(wanted)


def test_a_chain_says_nothing_of_other_candidates() -> None:
    acceptance = AcceptanceEstimator(PRIOR)
    acceptance.observe_ranks([outcome((1, 1), (1, 0))])
    assert acceptance.by_rank[0][1:] == pytest.approx(PRIOR[0][1:])


def test_depths_and_ranks_without_a_prior_are_ignored() -> None:
    acceptance = AcceptanceEstimator(((0.5,),))
    acceptance.observe_ranks([outcome((3, 2), (3, 1))])
    assert [len(depth) for depth in acceptance.by_rank] == [1]


def test_candidates_are_counted_where_the_path_got_to() -> None:
    rows = [outcome((2, 1), (2, 2)), outcome((2, 2)), outcome((1, 1), (2, 0))]
    assert list(candidate_counts(rows)) == [(0, 0, 2, 3), (0, 1, 1, 2), (1, 0, 0, 2), (1, 1, 1, 2)]
    assert not list(candidate_counts([RowOutcome(0, 0)]))


def test_gaps_start_from_a_guess_and_follow_the_draws() -> None:
    acceptance = AcceptanceEstimator()
    chances = [acceptance.by_gap(gap) for gap in (0.1, 0.6, 1.2, 2.5, 5.0)]
    assert [first for first, _ in chances] == sorted(first for first, _ in chances)
    assert all(0.0 < first + second < 1.0 for first, second in chances)
    for _ in range(2000):
        acceptance.observe_gap(0.1, 2, 2)
        acceptance.observe_gap(2.5, 0, 1)
    first, second = acceptance.by_gap(0.1)
    assert first < 0.05 and second > 0.9
    assert acceptance.by_gap(2.5)[0] < 0.05
    assert acceptance.by_gap(1.2) == chances[2], "other gaps are not touched"
    assert acceptance.undrawn < 0.05


def test_old_draws_fade() -> None:
    acceptance = AcceptanceEstimator()
    for _ in range(5000):
        acceptance.observe_gap(0.1, 1, 1)
    for _ in range(600):
        acceptance.observe_gap(0.1, 0, 1)
    assert acceptance.by_gap(0.1)[0] < 0.35


def test_second_candidates_count_where_they_were_offered() -> None:
    acceptance, before = AcceptanceEstimator(), AcceptanceEstimator()
    acceptance.observe_gap(0.1, 0, 1)
    shares = [second / (1.0 - first) for first, second in (acceptance.by_gap(0.1), before.by_gap(0.1))]
    assert shares[0] == pytest.approx(shares[1])
