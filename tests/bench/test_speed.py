"""The order of the runs: autoregressive always, a warm-up first, turns interleaved, the same texts and seed for all."""

from __future__ import annotations

import pytest

from spear_accel import DecodeOptions
from spear_accel.bench import AUTOREGRESSIVE, Case, make_cases, measure
from spear_accel.errors import UserError

TEXTS = ["a", "b", "c", "d", "e"]
BASE = DecodeOptions(seed=9, temperature=0.3)


def test_cases_are_all_combinations_with_the_reference_first() -> None:
    cases = make_cases(["prophet", "autoregressive", "early-exit"], ["coupled", "rejection"], ["auto", 2])
    assert cases[0] == AUTOREGRESSIVE
    assert len(cases) == len(set(cases)) == 1 + 2 * 2 * 2
    assert make_cases([], ["coupled"], [2]) == [AUTOREGRESSIVE]


def test_runs_are_interleaved_after_a_warm_up(voice) -> None:
    prophet = Case("prophet", "coupled", 2)
    runs = list(measure(voice, TEXTS, [AUTOREGRESSIVE, prophet], [1, 4], BASE, repeats=2))
    assert [(run.batch_size, run.case) for run in runs] == [
        (size, case) for size in (1, 4) for _ in range(2) for case in (AUTOREGRESSIVE, prophet)
    ]
    assert [(count, options.batch_size) for count, options in voice.asked] == [
        (1, 1), (1, 1), *[(5, 1)] * 4, (4, 4), (4, 4), *[(5, 4)] * 4,
    ]  # fmt: skip
    assert {(options.seed, options.temperature) for _, options in voice.asked} == {(9, 0.3)}
    assert [options.method for _, options in voice.asked] == ["autoregressive", "prophet"] * 6
    assert {options.draft_length for _, options in voice.asked} == {0, 2}


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        (Case("magic", "coupled", 2), "method 'magic' is unknown; choose one of auto, autoregressive"),
        (Case("prophet", "magic", 2), "verify 'magic' is unknown; choose one of coupled"),
        (Case("prophet", "coupled", -1), "draft_length"),
    ],
)
def test_options_are_checked_before_the_first_run(voice, case: Case, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        measure(voice, TEXTS, [AUTOREGRESSIVE, case], [1], BASE, repeats=1)
    assert voice.asked == []
