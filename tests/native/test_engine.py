"""The engine on the native step: whatever drafts, the tokens are those of autoregressive decoding alone."""

from __future__ import annotations

import random
from functools import cache

import pytest

from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.methods import Drafting
from spear_accel.model import TextToSemantic
from spear_accel.native.weights import Precision
from tests.decoding.drafters import METHODS, decode, drafting_for, rows
from tests.native.decoding import native_model

_GENERATOR = random.Random(5)
TEXTS = [[_GENERATOR.randint(3, 29) for _ in range(count)] for count in (3, 9, 1, 6, 4)]
WAYS = {
    "alone": {"batch_size": 1, "draft_length": 3}, "together": {"batch_size": 4, "draft_length": "auto"},
    "guided": {"batch_size": 3, "draft_length": 2, "cond_scale": 1.5},
}  # fmt: skip


@cache
def made(kernel: str, precision: Precision) -> tuple[TextToSemantic, Drafting]:
    model = native_model(kernel, precision)
    return model, drafting_for(model)


@cache
def wanted(kernel: str, precision: Precision, temperature: float, cond_scale: float) -> list[list[int]]:
    model, drafting = made(kernel, precision)
    options = DecodeOptions(
        method="autoregressive", temperature=temperature, seed=4, batch_size=1, cond_scale=cond_scale
    )
    return rows(decode(model, drafting, options, TEXTS))


@pytest.mark.parametrize("method", ["autoregressive", *METHODS])
def test_every_method_says_what_autoregressive_decoding_says_alone(kernel: str, method: str) -> None:
    model, drafting = made(kernel, "float32")
    for way, fields in WAYS.items():
        temperature = 0.0 if way == "alone" else 0.7
        options = DecodeOptions(method=method, temperature=temperature, seed=4, **fields)  # type: ignore[arg-type]
        expected = wanted(kernel, "float32", temperature, options.cond_scale)
        assert rows(decode(model, drafting, options, TEXTS)) == expected, way


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_so_do_rounded_models(kernel: str, precision: Precision) -> None:
    model, drafting = made(kernel, precision)
    options = DecodeOptions(method="recurrent", temperature=0.7, seed=4, batch_size=4, draft_length=3)
    assert rows(decode(model, drafting, options, TEXTS)) == wanted(kernel, precision, 0.7, 1.0)
