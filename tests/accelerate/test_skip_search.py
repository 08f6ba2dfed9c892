"""The search for a skip set: it finds what is fastest, never leaves out everything, and needs its library."""

from __future__ import annotations

import sys

import pytest
import torch

from spear_accel.accelerate import skip_search
from spear_accel.accelerate.skip_search import find_skip_set, tokens_per_second
from spear_accel.decoding import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.model import SkipSet, TextToSemantic, TextToSemanticConfig

TEXTS = [[3, 4, 5], [6, 7]]


@pytest.fixture(scope="module")
def model() -> TextToSemantic:
    torch.manual_seed(1)
    return TextToSemantic(TextToSemanticConfig(
        text_vocab_size=30, semantic_units=20, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=1,
        decoder_layers=4, ff_inner=48,
    )).eval()  # fmt: skip


def test_finds_the_fastest(model: TextToSemantic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that likes layer 1 to attend, layer 2 not, and feed-forward blocks to rest."""
    pytest.importorskip("optuna", reason="the search needs optuna (extra train)")
    asked: list[SkipSet] = []

    def clock(_: TextToSemantic, skip: SkipSet, *rest: object) -> float:
        asked.append(skip)
        return liking(skip)

    monkeypatch.setattr(skip_search, "tokens_per_second", clock)
    found, speed = find_skip_set(model, TEXTS, DecodeOptions(), trials=60)
    assert asked[0] == SkipSet((1,), (1,)), "every other layer comes first"
    assert 2 in found.attention and 1 not in found.attention and len(found.feed_forward) >= 3
    assert speed == max(liking(skip) for skip in asked)
    assert all(len(skip.attention) < 4 for skip in asked)
    assert find_skip_set(model, TEXTS, DecodeOptions(), trials=60)[0] == found, "the seed decides"


def liking(skip: SkipSet) -> float:
    return 10.0 * (2 in skip.attention) - 10.0 * (1 in skip.attention) + len(skip.feed_forward)


def test_speed_is_measured_with_the_engine(model: TextToSemantic) -> None:
    assert tokens_per_second(model, SkipSet((1,), (2,)), TEXTS, DecodeOptions(max_tokens=20), 2) > 0.0


def test_without_optuna_it_says_so(model: TextToSemantic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'spear-accel\[train\]'"):
        find_skip_set(model, TEXTS, DecodeOptions())


def test_an_interrupt_reaches_the_caller_and_no_traceback_is_logged(
    model: TextToSemantic, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    optuna = pytest.importorskip("optuna", reason="the search needs optuna (extra train)")

    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(skip_search, "tokens_per_second", interrupted)
    optuna.logging.enable_default_handler()
    with pytest.raises(KeyboardInterrupt):
        find_skip_set(model, TEXTS, DecodeOptions(), trials=2)
    assert "Traceback" not in capfd.readouterr().err
