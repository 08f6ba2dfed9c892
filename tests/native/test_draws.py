"""Draws by the native step against those by PyTorch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding import draws
from spear_accel.decoding.draws import BROKEN, Ban, draw
from spear_accel.decoding.sampling import BatchSampling, SamplingParams
from spear_accel.native import TORCH, available_kernels, choose_kernel

Drawn = tuple[list[list[int]], list[list[float]]]
CPU = torch.device("cpu")


def by_both(kernel: str, *arguments: object, **options: object) -> tuple[Drawn, Drawn]:
    """The same draw by `kernel` and by PyTorch."""
    found = []
    for name in (kernel, TORCH):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(draws, "choose_kernel", lambda name=name: choose_kernel(name))
            found.append(draw(*arguments, **options))  # type: ignore[arg-type]
    return found[0], found[1]


def same(first: Drawn, second: Drawn) -> None:
    assert first[0] == second[0]
    for left, right in zip(first[1], second[1], strict=True):
        assert left == pytest.approx(right, rel=1e-5, abs=1e-5)


@pytest.mark.skipif(not available_kernels(), reason="no kernel is built")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_asked_for(data: st.DataObject) -> None:
    kernel = data.draw(st.sampled_from(available_kernels()))
    rows, count, vocab = (data.draw(st.integers(1, most)) for most in (4, 5, 70))
    best = data.draw(st.integers(1, min(3, vocab)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1 << 30)))
    logits = 4 * torch.randn(rows, count, vocab, generator=generator)
    noise = None
    if data.draw(st.booleans()):
        # Not contiguous over places, as where a batch's noise is cut from a longer table.
        noise = torch.randn(rows, 9, vocab, generator=generator)[:, 1:8]
    places = data.draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    kelvin = st.sampled_from([0.2, 0.7, 1.0, 3.0])
    sampling = BatchSampling([SamplingParams(temperature=data.draw(kelvin)) for _ in range(rows)], CPU)
    ban = None
    if vocab > best and data.draw(st.booleans()):
        flags = [[data.draw(st.booleans()) for _ in range(count)] for _ in range(rows)]
        ban = Ban(data.draw(st.integers(0, vocab - 1)), flags)
    same(*by_both(kernel, logits, sampling, noise, places, ban, best=best))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_logit_that_is_no_number_is_told(kernel: str, wrong: float) -> None:
    logits = torch.zeros(2, 3, 40)
    logits[1, 2, 37] = wrong
    sampling = BatchSampling([SamplingParams()] * 2, CPU)
    tokens, _ = by_both(kernel, logits, sampling, torch.rand(2, 3, 40), range(3))[0]
    assert (tokens[1][2] == BROKEN) == (wrong != wrong)
    assert BROKEN not in tokens[0]
    assert tokens[1][2] in (BROKEN, 37)


def test_greedy_rows_sit_beside_others(kernel: str) -> None:
    """As the engine asks: their noise is zero."""
    logits = torch.randn(3, 2, 50, generator=torch.Generator().manual_seed(2))
    noise = torch.randn(3, 2, 50, generator=torch.Generator().manual_seed(3))
    noise[1] = 0.0
    sampling = BatchSampling([SamplingParams(), SamplingParams(temperature=0), SamplingParams(temperature=2)], CPU)
    native, reference = by_both(kernel, logits, sampling, noise, range(2))
    same(native, reference)
    assert native[0][1] == logits[1].argmax(-1).tolist()
