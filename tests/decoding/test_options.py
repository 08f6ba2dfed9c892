"""Decode options: defaults of the design, refusals in one clear line."""

from __future__ import annotations

import dataclasses

import pytest

from spear_accel.decoding import DecodeOptions
from spear_accel.errors import UserError


def test_defaults() -> None:
    options = DecodeOptions()
    assert (options.verify, options.draft_length, options.temperature) == ("coupled", "auto", 0.7)
    assert (options.top_k, options.top_p, options.seed, options.batch_size, options.max_tokens) == (0, 1.0, 0, 32, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "magic"}, "method 'magic' is unknown; choose one of"),
        ({"verify": "hope"}, "verify 'hope' is unknown; choose one of"),
        ({"candidates": 0}, "candidates must be a whole number of at least 1"),
        ({"candidates": 3, "draft_length": 30}, "at most 63, got 90"),
        ({"draft_length": -1}, "draft_length must be a whole number of at least 0"),
        ({"draft_length": "long"}, "draft_length must be a whole number"),
        ({"temperature": -0.1}, "temperature must be at least 0"),
        ({"temperature": float("nan")}, "temperature must be at least 0"),
        ({"top_k": -1}, "top_k must be a whole number of at least 0"),
        ({"top_p": 1.5}, "top_p must be between 0 and 1"),
        ({"top_p": 0.0}, "must be above 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"repetition_penalty": 0.0}, "must be above 0"),
        ({"repetition_window": 0}, "repetition_window must be a whole number of at least 1"),
    ],
)
def test_refusals(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DecodeOptions(**fields)  # type: ignore[arg-type]
