"""Every figure of a record, from runs whose counts and times are written down."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel import DecodeOptions
from spear_accel.bench import AUTOREGRESSIVE, Case, Difference, Run, first_difference, make_records
from spear_accel.bench.records import Conditions
from tests.model.conftest import lively, tiny_config

PROPHET = Case("prophet", "coupled", 2)
ROWS = st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=4)


def test_the_figures(runs: list[Run], conditions: Conditions) -> None:
    plain, prophet = make_records(runs, conditions)
    assert (prophet.method, prophet.verify, prophet.draft_length, prophet.batch_size) == ("prophet", "coupled", 2, 2)
    assert (prophet.wall_seconds, prophet.repeat_seconds) == (0.5, (0.4, 0.9, 0.5))
    assert (prophet.tokens, prophet.tokens_per_second, prophet.speedup) == (5, 10.0, 2.0)
    assert (prophet.block_efficiency, prophet.acceptance_rate, prophet.target_calls) == (7 / 4, 3 / 8, 2)
    assert prophet.acceptance_by_position == (0.5, 0.25)
    # Two rounds of two steps in 0.08 s, and 0.25 s a target call, against 0.2 s for one token.
    assert prophet.draft_cost == pytest.approx(0.02 / 0.2)
    assert prophet.verify_cost == pytest.approx(0.25 / 0.2)
    assert (prophet.method_used, prophet.mean_draft_length) == ("prophet", 2.0)
    assert prophet.identical_to_autoregressive and prophet.first_difference is None
    assert (prophet.utterances, prophet.stop_reasons, prophet.seed) == (2, {"eos": 2}, 5)
    assert (plain.speedup, plain.block_efficiency, plain.identical_to_autoregressive) == (1.0, 1.0, True)


def test_nothing_is_reported_of_drafts_that_were_not_made(runs: list[Run], conditions: Conditions) -> None:
    plain = make_records(runs, conditions)[0]
    assert plain.acceptance_rate is plain.draft_cost is plain.verify_cost is plain.mean_draft_length is None
    assert plain.acceptance_by_position == ()


def test_steps_behind_the_clock_have_no_cost(runs: list[Run], conditions: Conditions) -> None:
    prophet = make_records(runs, replace(conditions, device="cuda:0"))[1]
    assert prophet.draft_cost is prophet.verify_cost is None and prophet.speedup == 2.0


def test_records_hold_what_the_design_names(runs: list[Run], conditions: Conditions) -> None:
    named = """method verify draft_length batch_size temperature tokens wall_seconds tokens_per_second speedup
        block_efficiency acceptance_rate target_calls identical_to_autoregressive device dtype threads versions
        acceptance_by_position draft_cost first_difference"""
    values = json.loads(json.dumps(make_records(runs, conditions)[1].to_dict(), allow_nan=False))
    assert set(named.split()) <= set(values)
    assert values["acceptance_by_position"] == [0.5, 0.25] and values["first_difference"] is None


def test_each_batch_size_has_its_own_reference(
    runs: list[Run], conditions: Conditions, plain_result, drafting_result
) -> None:
    slower = replace(plain_result().stats, wall_seconds=4.0)
    more = [Run(AUTOREGRESSIVE, 1, replace(plain_result(), stats=slower)), Run(PROPHET, 1, drafting_result())]
    records = make_records([*runs, *more], conditions)
    assert [(record.batch_size, record.speedup) for record in records] == [(2, 1.0), (2, 2.0), (1, 1.0), (1, 8.0)]


def test_of_an_even_number_the_faster_middle_run_counts(conditions: Conditions, plain_result, drafting_result) -> None:
    times = (0.9, 0.4, 0.6, 0.5)
    runs = [Run(AUTOREGRESSIVE, 2, plain_result()), *[Run(PROPHET, 2, drafting_result(wall_seconds=t)) for t in times]]
    assert make_records(runs, conditions)[1].wall_seconds == 0.5


def test_a_difference_in_any_repeat_is_found(runs: list[Run], conditions: Conditions, drafting_result) -> None:
    """Also in one that is not the median, and at the end of an utterance."""
    other = Run(PROPHET, 2, drafting_result(((1, 2, 3), (4, 5, 6)), wall_seconds=9.0))
    record = make_records([*runs, other], conditions)[1]
    assert not record.identical_to_autoregressive
    assert record.first_difference == Difference(utterance=1, position=2, expected=None, found=6)
    assert record.different_utterances == 1
    assert record.to_dict()["first_difference"] == {"utterance": 1, "position": 2, "expected": None, "found": 6}


def test_autoregressive_decoding_is_held_against_itself(runs: list[Run], conditions: Conditions, plain_result) -> None:
    unsteady = Run(AUTOREGRESSIVE, 2, plain_result(((1, 7, 3), (4, 5))))
    assert make_records([*runs, unsteady], conditions)[0].first_difference == Difference(0, 1, 2, 7)


@settings(max_examples=50)
@given(ROWS, ROWS)
def test_first_difference_is_where_equality_ends(left: list[list[int]], right: list[list[int]]) -> None:
    count = min(len(left), len(right))
    left, right = left[:count], right[:count]
    found = first_difference([torch.tensor(row) for row in left], [torch.tensor(row) for row in right])
    if left == right:
        assert found is None
        return
    assert found is not None
    assert left[: found.utterance] == right[: found.utterance]
    one, other = left[found.utterance], right[found.utterance]
    assert one[: found.position] == other[: found.position]
    assert found.expected != found.found
    assert found.expected == (one[found.position] if found.position < len(one) else None)


def test_conditions_are_those_of_the_process() -> None:
    model = lively(tiny_config()).to(torch.bfloat16)
    seen = Conditions.of(model, DecodeOptions(temperature=0.5, seed=3))
    assert (seen.temperature, seen.seed, seen.device, seen.dtype) == (0.5, 3, "cpu", "bfloat16")
    assert seen.threads == torch.get_num_threads()
    assert set(seen.versions) == {"torch", "spear_accel", "python"}
    assert seen.provenance["version"] == seen.versions["spear_accel"]
    assert seen.provenance["arguments"]["temperature"] == 0.5


def test_records_say_which_program_measured_with_which_arguments(runs: list[Run], conditions: Conditions) -> None:
    made = {"version": "0", "commit": None, "arguments": {"voice": "kathleen"}}
    for record in make_records(runs, replace(conditions, provenance=made)):
        assert record.to_dict()["provenance"] == made
