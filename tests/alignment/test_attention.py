"""Aligning tokens to text: what the guard reports, and models whose attention tells nothing are left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spear_accel.alignment.attention import AlignmentScore, CoverageGuard, align, attention_peakiness, score
from spear_accel.alignment.coverage import Alignment
from spear_accel.errors import UserError
from spear_accel.model import DecoderState, TextToSemantic, TextToSemanticConfig
from spear_accel.model.decoder import Decoder
from tests.alignment.conftest import looks, steady

CONFIG = TextToSemanticConfig(
    text_vocab_size=30, semantic_units=20, dim=32, heads=2, kv_heads=2, head_dim=16, encoder_layers=1, decoder_layers=3,
    ff_inner=32, text_eos_id=29, text_pad_id=0,
)  # fmt: skip
WHOLE = Alignment(path=(), coverage=1.0, skipped=0, skipped_at=0, repeated=0, repeated_at=0)


def test_the_guard_names_what_and_where() -> None:
    guard = CoverageGuard(skipped=4, repeated=4, peakiness=0.25)
    skips = Alignment((), 0.8, skipped=14, skipped_at=30, repeated=0, repeated_at=0)
    again = Alignment((), 1.0, skipped=4, skipped_at=2, repeated=12, repeated_at=7)
    assert guard.fault(AlignmentScore(skips, 0.9)) == "skips 14 letters of the text near letter 31"
    assert guard.fault(AlignmentScore(again, 0.9)) == "reads 12 letters of the text twice near letter 8"
    assert guard.fault(AlignmentScore(WHOLE, 0.9)) is None
    assert guard.fault(AlignmentScore(skips, 0.2)) is None  # too blurred to tell


def test_peakiness_tells_readers_from_the_rest() -> None:
    width = 24
    reads = looks(steady(width), width, peak=0.99)
    spread = torch.full_like(reads, 1 / width)
    rests = looks([5] * len(reads), width, peak=0.99)
    hops = looks(np.random.default_rng(0).integers(0, width, len(reads)).tolist(), width, peak=0.99)
    reader, *others = attention_peakiness(torch.stack((reads, spread, rests, hops))).tolist()
    assert reader > 0.9
    assert max(others) < 0.2
    half = looks(steady(width)[: len(reads) // 2], width, peak=0.99)
    assert float(attention_peakiness(half[None])) > 0.9


def model() -> TextToSemantic:
    torch.manual_seed(0)
    return TextToSemantic(CONFIG).eval()


TEXT, TOKENS = list(range(1, 25)), torch.arange(72) % 20


def test_untrained_attention_says_nothing() -> None:
    scored = score(model(), TEXT, TOKENS)
    assert scored.peakiness < CoverageGuard().peakiness
    assert CoverageGuard().fault(scored) is None


def test_the_probability_is_that_of_the_forward() -> None:
    whole = model()
    scored = score(whole, TEXT, TOKENS)
    with torch.inference_mode():
        log_p = whole(torch.tensor([[*TEXT, 29]]), TOKENS[None])[0].log_softmax(-1)
    said = torch.cat((TOKENS, torch.tensor([CONFIG.eos_id])))
    assert scored.log_prob == pytest.approx(float(log_p.gather(1, said[:, None]).mean()), abs=1e-5)


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


@pytest.mark.parametrize("peaky_layer", [0, 1, 2])
def test_the_first_peaky_layer_is_read(monkeypatch: pytest.MonkeyPatch, peaky_layer: int) -> None:
    """Its weights are known; the layers behind it are not run, unless the probability is wanted. 24 letters and EOS
    are read, neither pads nor the null slot."""
    injected = looks([*steady(24)[:30], *steady(24)[54:], 23], 25)[None, None].expand(1, 2, -1, -1)
    spread = torch.full_like(injected, 1 / 25)
    target, asked = model(), list[int]()
    attend_like(monkeypatch, lambda number: injected if number == peaky_layer else spread, asked)
    tokens = TOKENS[: injected.shape[2] - 1]
    scored = align(target, TEXT, tokens)
    assert asked == list(range(peaky_layer + 1))
    assert (scored.alignment.skipped, scored.alignment.skipped_at, scored.log_prob) == (8, 10, None)
    assert CoverageGuard().fault(scored) == "skips 8 letters of the text near letter 11"
    whole = score(target, TEXT, tokens)
    assert (whole.alignment, whole.peakiness) == (scored.alignment, scored.peakiness)
    assert whole.log_prob is not None


def test_what_is_no_letter_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start, end, pads and what chooses a language are not text."""
    changed = {**CONFIG.to_dict(), "text_start_id": 28, "text_length": 40, "text_vocab_size": 32, "languages": 2}
    target = TextToSemantic(TextToSemanticConfig.from_dict(changed)).eval()
    path = [*steady(24), 23]
    injected = torch.zeros(1, 2, len(path), 40)
    injected[:, :, :, 1:25] = looks(path, 24)
    attend_like(monkeypatch, lambda _: injected, [])
    for text in ([31, *TEXT], TEXT):
        found = align(target, text, TOKENS).alignment
        assert replace(found, path=()) == WHOLE and found.path == tuple(path)
    with pytest.raises(UserError, match="no text"):
        align(target, [], TOKENS)
