"""Reading back: known paths give known skips and repeats, and models whose attention tells nothing are left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spear_accel.alignment.attention import CoverageGuard, Reading, look_back, read_back, sharpness
from spear_accel.alignment.viterbi import TextPath, best_path, follow
from spear_accel.errors import UserError
from spear_accel.model import DecoderState, TextToSemantic, TextToSemanticConfig
from spear_accel.model.decoder import Decoder

CONFIG = TextToSemanticConfig(
    text_vocab_size=30, semantic_units=20, dim=32, heads=2, kv_heads=2, head_dim=16, encoder_layers=1, decoder_layers=3,
    ff_inner=32, text_eos_id=29, text_pad_id=0,
)  # fmt: skip
WHOLE = TextPath(coverage=1.0, skipped=0, skipped_at=0, repeated=0, repeated_at=0)


def looks(path: list[int], width: int, peak: float = 0.9) -> Tensor:
    """Attention [T, width] that rests on `path`, the rest spread evenly."""
    weights = torch.full((len(path), width), (1 - peak) / (width - 1))
    weights[torch.arange(len(path)), torch.tensor(path)] = peak
    return weights


def steady(width: int, dwell: int = 3) -> list[int]:
    return [place for place in range(width) for _ in range(dwell)]


def read(path: list[int], width: int) -> TextPath:
    return follow(best_path(looks(path, width).numpy()), width)


@given(st.lists(st.integers(2, 5), min_size=3, max_size=40))
@settings(max_examples=50)
def test_a_path_that_only_moves_on_has_read_all(dwell: list[int]) -> None:
    path = [place for place, count in enumerate(dwell) for _ in range(count)]
    found = read(path, len(dwell))
    assert (found.coverage, found.skipped, found.repeated) == (1.0, 0, 0)


@given(st.data())
@settings(max_examples=50)
def test_a_stretch_that_is_cut_out_is_skipped(data: st.DataObject) -> None:
    width = data.draw(st.integers(20, 50))
    size = data.draw(st.integers(8, width - 12))
    start = data.draw(st.integers(0, width - size))
    path = [place for place in steady(width) if not start <= place < start + size]
    found = read(path, width)
    assert (found.skipped, found.skipped_at, found.repeated) == (size, start, 0)
    assert found.coverage == pytest.approx(1 - size / width)


@given(st.data())
@settings(max_examples=50)
def test_a_stretch_that_is_said_twice_is_repeated(data: st.DataObject) -> None:
    width = data.draw(st.integers(12, 50))
    size = data.draw(st.integers(5, width))
    start = data.draw(st.integers(0, width - size))
    whole = steady(width)
    path = [*whole[: 3 * (start + size)], *whole[3 * start :]]
    found = read(path, width)
    assert (found.coverage, found.skipped, found.repeated, found.repeated_at) == (1.0, 0, size, start)


def test_a_glance_elsewhere_is_not_followed() -> None:
    path = steady(20)
    path[30] = 17
    assert best_path(looks(path, 20).numpy()) == steady(20)


def test_a_glide_over_letters_is_a_skip_too() -> None:
    """No step is a jump, but nobody reads 12 letters in 4 tokens."""
    path = [*steady(12), 14, 17, 20, 23, *(place + 24 for place in steady(12))]
    found = read(path, 36)
    assert found.skipped >= 7
    assert 11 <= found.skipped_at <= 12


def test_letters_that_are_not_heard_are_not_missed() -> None:
    path = [place for place in steady(30) if place not in (0, 7, 8, 15, 29)]
    found = read(path, 30)
    assert found.coverage == 1.0
    assert found.skipped == 2


def test_the_guard_names_what_and_where() -> None:
    guard = CoverageGuard(skipped=4, repeated=4, sharpness=0.25)
    skips = TextPath(0.8, skipped=14, skipped_at=30, repeated=0, repeated_at=0)
    again = TextPath(1.0, skipped=4, skipped_at=2, repeated=12, repeated_at=7)
    assert guard.fault(Reading(skips, 0.9)) == "skips 14 letters of the text near letter 31"
    assert guard.fault(Reading(again, 0.9)) == "reads 12 letters of the text twice near letter 8"
    assert guard.fault(Reading(WHOLE, 0.9)) is None
    assert guard.fault(Reading(skips, 0.2)) is None  # too blurred to tell


def test_sharpness_tells_readers_from_the_rest() -> None:
    width = 24
    reads = looks(steady(width), width, peak=0.99)
    spread = torch.full_like(reads, 1 / width)
    rests = looks([5] * len(reads), width, peak=0.99)
    hops = looks(np.random.default_rng(0).integers(0, width, len(reads)).tolist(), width, peak=0.99)
    reader, *others = sharpness(torch.stack((reads, spread, rests, hops))).tolist()
    assert reader > 0.9
    assert max(others) < 0.2
    half = looks(steady(width)[: len(reads) // 2], width, peak=0.99)
    assert float(sharpness(half[None])) > 0.9


def model() -> TextToSemantic:
    torch.manual_seed(0)
    return TextToSemantic(CONFIG).eval()


TEXT, TOKENS = list(range(1, 25)), torch.arange(72) % 20


def test_untrained_attention_says_nothing() -> None:
    reading = read_back(model(), TEXT, TOKENS)
    assert reading.sharpness < CoverageGuard().sharpness
    assert CoverageGuard().fault(reading) is None


def test_the_probability_is_that_of_the_forward() -> None:
    whole = model()
    reading = read_back(whole, TEXT, TOKENS)
    with torch.inference_mode():
        log_p = whole(torch.tensor([[*TEXT, 29]]), TOKENS[None])[0].log_softmax(-1)
    said = torch.cat((TOKENS, torch.tensor([CONFIG.eos_id])))
    assert reading.log_prob == pytest.approx(float(log_p.gather(1, said[:, None]).mean()), abs=1e-5)


def attend_like(monkeypatch: pytest.MonkeyPatch, weights_of: Callable[[int], Tensor], asked: list[int]) -> None:
    """Make every decoder say that its layers attend to the text like `weights_of` their numbers, [1, H, T, X]."""
    forward = Decoder.forward

    def attending(
        self: Decoder, x: Tensor, state: DecoderState, layers: slice, *, collect: list[Tensor], **rest: Any
    ) -> Tensor:
        asked.append(layers.start)
        own: list[Tensor] = []
        left = forward(self, x, state, layers, collect=own, **rest)
        collect.append(weights_of(layers.start))
        assert own[0].shape[3] == collect[-1].shape[3]
        return left

    monkeypatch.setattr(Decoder, "forward", attending)


@pytest.mark.parametrize("sharp_layer", [0, 1, 2])
def test_the_first_sharp_layer_is_read(monkeypatch: pytest.MonkeyPatch, sharp_layer: int) -> None:
    """Its weights are known; the layers behind it are not run, unless the probability is wanted. 24 letters and EOS
    are read, neither pads nor the null slot."""
    injected = looks([*steady(24)[:30], *steady(24)[54:], 23], 25)[None, None].expand(1, 2, -1, -1)
    spread = torch.full_like(injected, 1 / 25)
    target, asked = model(), list[int]()
    attend_like(monkeypatch, lambda number: injected if number == sharp_layer else spread, asked)
    tokens = TOKENS[: injected.shape[2] - 1]
    reading = look_back(target, TEXT, tokens)
    assert asked == list(range(sharp_layer + 1))
    assert (reading.path.skipped, reading.path.skipped_at, reading.log_prob) == (8, 10, None)
    assert CoverageGuard().fault(reading) == "skips 8 letters of the text near letter 11"
    whole = read_back(target, TEXT, tokens)
    assert (whole.path, whole.sharpness) == (reading.path, reading.sharpness)
    assert whole.log_prob is not None


def test_what_is_no_letter_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start, end, pads and what chooses a language are not text."""
    changed = {**CONFIG.to_dict(), "text_start_id": 28, "text_length": 40, "text_vocab_size": 32, "languages": 2}
    target = TextToSemantic(TextToSemanticConfig.from_dict(changed)).eval()
    path = [*steady(24), 23]
    injected = torch.zeros(1, 2, len(path), 40)
    injected[:, :, :, 1:25] = looks(path, 24)
    attend_like(monkeypatch, lambda _: injected, [])
    assert look_back(target, [31, *TEXT], TOKENS).path == WHOLE
    assert look_back(target, TEXT, TOKENS).path == WHOLE
    with pytest.raises(UserError, match="no text"):
        look_back(target, [], TOKENS)
