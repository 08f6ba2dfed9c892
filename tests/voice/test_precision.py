"""The precision that a voice decodes in, and the tuning that goes with what computes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.errors import UserError
from spear_accel.model import SkipSet
from spear_accel.native import TORCH, VARIABLE, available_kernels
from spear_accel.voice.defaults import computing, load_tuning, with_tuning
from spear_accel.voice.folder import open_voice, seal
from spear_accel.voice.precision import choose_precision

TEXT = "A cold night. The fox is quick."
needs_kernel = pytest.mark.skipif(not available_kernels(), reason="no kernel is built")


@needs_kernel
@pytest.mark.parametrize("asked", ["auto", "int8", "float32", "bfloat16", torch.bfloat16, "float16"])
def test_a_voice_decodes_in_what_is_asked_for(shared_voice: Path, asked: str | torch.dtype) -> None:
    backend = Voice.load(shared_voice, dtype=asked).model.decoder.backend
    named = str(asked).removeprefix("torch.")
    assert backend.precision == ("int8" if named == "auto" else named)
    assert backend.native == (named != "float16")
    caches = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    assert backend.cache_dtype == caches.get(named, torch.int8)
    assert backend.text_cache_dtype == caches.get(named, torch.bfloat16)


@needs_kernel
@pytest.mark.parametrize("asked", ["int8", "bfloat16", "float32"])
def test_in_each_it_says_what_it_says_without_drafts(shared_voice: Path, asked: str) -> None:
    voice = Voice.load(shared_voice, dtype=asked)
    said = [
        voice.speak(TEXT, DecodeOptions(seed=5, method=method, draft_length=length)).tokens
        for method, length in (("autoregressive", "auto"), ("ngram", 3))
    ]
    assert torch.equal(*said)


def test_without_a_kernel_it_is_float32(shared_voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, TORCH)
    assert Voice.load(shared_voice).model.decoder.backend.precision == "float32"
    with pytest.raises(UserError, match=rf"int8 needs the native step on a CPU \(forced by {VARIABLE}\); choose"):
        Voice.load(shared_voice, dtype="int8")


def test_what_does_not_exist_is_named(shared_voice: Path) -> None:
    with pytest.raises(UserError, match="dtype 'float64' is none that a voice decodes in; choose one of auto, float32"):
        Voice.load(shared_voice, dtype=torch.float64)
    with pytest.raises(UserError, match="dtype 'fp8' is none"):
        choose_precision("fp8", "cpu")
    with pytest.raises(UserError, match="int8 needs the native step on a CPU"):
        choose_precision("int8", "meta")


def marked(layer: int) -> dict[str, Any]:
    """A tuning that can be told from others."""
    return Tuning(skip=SkipSet((layer,))).to_dict()


def test_a_tuning_is_that_of_what_computes_or_the_nearest(tiny_voice: Path) -> None:
    model, card = Voice.load(tiny_voice).model, open_voice(tiny_voice).card
    here = computing(model)
    near = f"{here.split()[0]} float99"
    far = "torch float32" if here.startswith("native") else "native int8"
    for held, wanted in (({here: 1, near: 2, far: 3}, 1), ({far: 3, near: 2}, 2), ({far: 3}, 3), ({}, None)):
        values = {"tuning": {name: marked(layer) for name, layer in held.items()}}
        (tiny_voice / "decoding.json").write_text(json.dumps(values))
        seal(tiny_voice, card)
        found = load_tuning(open_voice(tiny_voice), model)
        assert found.skip == (None if wanted is None else SkipSet((wanted,)))


@pytest.mark.parametrize(
    "damaged", [[1], 5, "fast", {"native int8": 3}, {"methods": 3}, {"torch float32": {"skip": 1}}]
)
def test_a_damaged_tuning_is_named(tiny_voice: Path, damaged: object) -> None:
    card = open_voice(tiny_voice).card
    (tiny_voice / "decoding.json").write_text(json.dumps({"tuning": damaged}))
    seal(tiny_voice, card)
    with pytest.raises(UserError, match=r"decoding\.json: the tuning is damaged .*; measure it again"):
        Voice.load(tiny_voice)


def test_a_new_tuning_stands_beside_the_others(shared_voice: Path) -> None:
    model = Voice.load(shared_voice).model
    values = with_tuning({"temperature": 0.5, "tuning": {"other int8": marked(1)}}, model, Tuning())
    assert values["temperature"] == 0.5
    assert set(values["tuning"]) == {"other int8", computing(model)}
    # A file from before there were names.
    assert set(with_tuning({"tuning": {"methods": {}}}, model, Tuning())["tuning"]) == {
        "torch float32",
        computing(model),
    }
