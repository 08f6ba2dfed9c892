"""`speak` decodes again what skips or repeats words, or does not end; a stream warns."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.alignment.attention import CoverageGuard
from spear_accel.decoding.noise import retry_seed
from spear_accel.voice import checked

TEXT = "A cold night. The fox is quick."


@pytest.fixture
def voice() -> Voice:
    return Voice.load("kathleen")


def doubting(monkeypatch: pytest.MonkeyPatch, verdicts: Sequence[str | None]) -> None:
    """The guard gives these verdicts one after another, then no more doubts."""
    left = list(verdicts)
    monkeypatch.setattr(CoverageGuard, "fault", lambda *_: left.pop(0) if left else None)


def test_what_is_in_doubt_is_decoded_again_with_the_seeds_of_synth(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = DecodeOptions(seed=5)
    plain = voice.speak(TEXT, options, coverage=False)
    doubting(monkeypatch, ["skips 9 letters", None])
    speech = voice.speak(TEXT, options)
    first, second = speech.utterances
    assert first.seed == retry_seed(5, 1000)
    assert not torch.equal(first.tokens, plain.utterances[0].tokens)
    assert torch.equal(second.tokens, plain.utterances[1].tokens)
    assert not speech.warnings
    assert speech.stats.committed > plain.stats.committed


def test_what_stays_in_doubt_is_said_with_a_warning(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    doubting(monkeypatch, ["skips 9 letters"] * 3)
    speech = voice.speak("A cold night.")
    assert speech.utterances[0].doubt == "skips 9 letters"
    assert speech.warnings == ("skips 9 letters in 'A cold night.'; try another seed",)
    assert len(speech.waveform)


def test_without_the_check_nothing_is_decoded_again(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "align", lambda *_: pytest.fail("nobody asked for it"))
    speech = voice.speak(TEXT, coverage=False)
    assert [one.seed for one in speech.utterances] == [0, 0]
    assert [one.doubt for one in voice.utter(TEXT, coverage=False)] == [None, None]


def test_an_utterance_without_an_end_is_decoded_again(voice: Voice) -> None:
    """Seed 2 says it twice, with a long pause between, and does not end."""
    before = voice.utter("Hello", DecodeOptions(seed=2), coverage=False)[0]
    after = voice.utter("Hello", DecodeOptions(seed=2))[0]
    assert before.stop_reason != "eos"
    assert after.stop_reason == "eos"
    assert after.seed != before.seed


def test_a_stream_warns_and_goes_on(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    doubting(monkeypatch, [None, "reads 9 letters twice"])
    pieces = list(voice.stream(TEXT))
    plain = voice.speak(TEXT, coverage=False)
    assert torch.equal(torch.cat([piece.tokens for piece in pieces]), plain.tokens)
    assert [line for piece in pieces for line in piece.warnings] == [
        "reads 9 letters twice in 'The fox is quick.'; try another seed"
    ]


def test_tokens_are_the_same_whatever_else_is_spoken(voice: Voice) -> None:
    texts = ["Banana", "A cold night.", "Hello", "The fox is quick."]
    alone = [voice.utter(text, DecodeOptions(seed=2))[0].tokens for text in texts]
    planned = [voice.plan(text)[0] for text in texts]
    together = checked.decode_checked(voice.generator, planned, DecodeOptions(seed=2, batch_size=4)).result.tokens
    assert all(map(torch.equal, alone, together))
