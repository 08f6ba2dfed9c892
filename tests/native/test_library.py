"""Which kernel runs, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from spear_accel.native import TORCH, VARIABLE, available_kernels, choose_kernel, library
from tests.model.conftest import lively, tiny_config
from tests.native.decoding import logits_of, texts


def test_the_variable_forces_a_kernel(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, kernel)
    assert choose_kernel().name == kernel
    assert VARIABLE in choose_kernel().reason


def test_the_fastest_comes_first(kernel: str) -> None:
    names = available_kernels()
    assert names[-1] == "portable"
    assert choose_kernel("auto").name == names[0]


def test_an_unknown_kernel_is_refused_by_naming_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sse9")
    with pytest.raises(UserError, match=f"SPEAR_ACCEL_KERNEL=sse9.*choose one of auto, {TORCH}"):
        TextToSemantic(tiny_config())


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that takes the place of the one with the builds."""
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    for cached in (library._choose, library._try_load, library.available_kernels):
        cached.cache_clear()
    yield tmp_path
    for cached in (library._choose, library._try_load, library.available_kernels):
        cached.cache_clear()


def test_without_a_build_pytorch_computes(elsewhere: Path) -> None:
    choice = choose_kernel("auto")
    assert choice.name == TORCH
    assert "no C++ compiler" in choice.reason
    model = lively(tiny_config())
    state = model.start(texts(model.config, 1), 4)
    assert bool(logits_of(model, torch.zeros(1, 1, dtype=torch.int64), state).isfinite().all())
    with pytest.raises(UserError, match=r"choose one of auto, torch$"):
        choose_kernel("portable")


def test_a_build_that_does_not_load_is_left_alone(elsewhere: Path) -> None:
    (elsewhere / "_portable.so").write_bytes(b"no library")
    choice = choose_kernel("auto")
    assert choice.name == TORCH
    assert "does not load" in choice.reason
