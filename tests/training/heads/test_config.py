"""Settings of draft-head training: what follows from what, and faults told before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from spear_accel.errors import UserError
from spear_accel.training.heads.config import DraftHeadTraining
from spear_accel.training.heads.on_policy import OnPolicySettings
from spear_accel.training.loop.settings import build


def make(**changes: Any) -> DraftHeadTraining:
    fields = {"trunk": "voice", "validation": "validation.jsonl", "sources": ("train.jsonl",), **changes}
    return build(DraftHeadTraining, fields, "run.yaml, data")


def spoken(**changes: Any) -> OnPolicySettings:
    return build(OnPolicySettings, {"folder": "samples", **changes}, "run.yaml, data.samples")


def test_a_frozen_trunk_is_heard_and_one_that_learns_is_taught() -> None:
    assert make(samples=spoken()).on_policy
    assert not make(trunk_weight=0.5).on_policy
    assert not make(targets="corpus").on_policy
    assert make(trunk_weight=0.5, targets="samples", samples=spoken()).on_policy


def test_one_manifest_needs_no_list() -> None:
    assert make(sources="a.jsonl", targets="corpus").sources == ("a.jsonl",)
    assert make(sources=["a.jsonl", "b.jsonl"], targets="corpus").sources == ("a.jsonl", "b.jsonl")
    assert spoken(texts="a.jsonl").texts == ("a.jsonl",)
    assert spoken(texts=["a.jsonl", "b.jsonl"]).texts == ("a.jsonl", "b.jsonl")


def test_texts_to_speak_come_from_either_place() -> None:
    assert make(sources=(), samples=spoken(texts="a.jsonl")).sources == ()
    assert make(samples=spoken()).samples == spoken()


def test_samples_beside_a_corpus_are_not_drawn() -> None:
    assert make(targets="corpus", samples=spoken()).drawn is None
    assert make(targets="samples", samples=spoken(temperature=0.9)).drawn == spoken(temperature=0.9)


def test_samples_are_drawn_one_by_one_without_a_draft() -> None:
    options = spoken(temperature=0.4, seed=3, batch_size=5, longest_tokens=70).options()
    assert options.method == "autoregressive"
    assert (options.temperature, options.seed, options.batch_size, options.max_tokens) == (0.4, 3, 5, 70)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "data: samples is missing; give its folder, or set targets to corpus"),
        ({"targets": "dreams"}, "data.targets is 'dreams'; it should be 'samples' or 'corpus'"),
        ({"targets": "corpus", "sources": ()}, "data: sources is empty"),
        ({"targets": "samples", "sources": (), "samples": spoken()}, "data: samples.texts and sources are both"),
        ({"trunk_weight": 1.0, "sources": ()}, "data: sources is empty"),
        ({"targets": "corpus", "positions": 0.0}, "data.positions is 0.0; it should be greater than 0"),
        ({"targets": "corpus", "positions": 1.01}, "data.positions is 1.01; it should be less than or equal to 1"),
        ({"targets": "corpus", "positions": float("nan")}, "data.positions is nan"),
        (
            {"targets": "corpus", "distill_temperature": 0.0},
            "distill_temperature is 0.0; it should be greater than 0",
        ),
        (
            {"targets": "corpus", "trunk_weight": -0.1},
            "trunk_weight is -0.1; it should be greater than",
        ),
        ({"targets": "corpus", "detach": True}, "data: detach needs trunk_weight above 0"),
        ({"targets": "corpus", "horizon": 3}, "run.yaml, data: unknown setting horizon"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**changes)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_is_a_share(smoothing: float) -> None:
    """As `TextToSemanticTraining` has it."""
    with pytest.raises(UserError, match=r"data\.label_smoothing is"):
        make(trunk_weight=1.0, label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "data.samples.count is 0; it should be greater than or equal to 1"),
        ({"temperature": -0.1}, "temperature must be at least 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"longest_tokens": 0}, "max_tokens must be a whole number of at least 1"),
        ({"seed": 1.5}, "data.samples.seed is 1.5; it should be a valid integer"),
    ],
)
def test_wrong_samples_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        spoken(**changes)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UserError, match=r"run\.yaml, data: setting trunk, validation is missing"):
        build(DraftHeadTraining, {}, "run.yaml, data")
    with pytest.raises(UserError, match=r"run\.yaml, data\.samples: setting folder is missing"):
        build(OnPolicySettings, {"count": 3}, "run.yaml, data.samples")
