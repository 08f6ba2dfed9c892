"""The shipped voice drafts: every method says what autoregressive decoding says, with fewer calls of the model.

`recipes/experiments/equality.py` does the same for hundreds of sentences.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from spear_accel import DecodeOptions, Voice
from spear_accel.bench import SENTENCES, first_difference

HEADS = ("recurrent", "early-exit", "prophet", "prophet-linear", "medusa")


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice.load("kathleen")


def test_it_ships_heads_and_knows_their_speed(voice: Voice) -> None:
    assert set(HEADS) <= set(voice.methods)
    assert set(HEADS) <= set(voice.drafting.tuning.methods)
    assert voice.defaults.method == "auto"
    assert voice.drafting.resolve(DecodeOptions(), 1) in HEADS


@pytest.mark.parametrize("method", HEADS)
def test_drafts_change_no_token(voice: Voice, method: str) -> None:
    texts = [text for text in SENTENCES if len(text) < 40][:6]
    plain = DecodeOptions(method="autoregressive", seed=1, batch_size=1)
    wanted = voice.text_to_semantic(texts, plain)
    for batch_size, draft_length in ((1, 4), (4, 3)):
        fast = replace(plain, method=method, batch_size=batch_size, draft_length=draft_length)
        found = voice.text_to_semantic(texts, fast)
        assert first_difference(wanted.tokens, found.tokens) is None
        assert found.stats.row_calls < 0.6 * wanted.stats.row_calls
        assert found.method == method and found.lossless
    # How far automatic drafts go depends on what they cost here; what is said does not.
    found = voice.text_to_semantic(texts, replace(plain, method=method, batch_size=4, draft_length="auto"))
    assert first_difference(wanted.tokens, found.tokens) is None


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_all_sentences_by_all_heads(voice: Voice, temperature: float, batch_size: int) -> None:
    """Float32 rounding could swap two tokens whose scores are within 1e-4 of each other; here none are."""
    plain = DecodeOptions(method="autoregressive", temperature=temperature, batch_size=1)
    wanted = voice.text_to_semantic(SENTENCES, plain)
    for method in HEADS:
        fast = replace(plain, method=method, batch_size=batch_size)
        assert first_difference(wanted.tokens, voice.text_to_semantic(SENTENCES, fast).tokens) is None
