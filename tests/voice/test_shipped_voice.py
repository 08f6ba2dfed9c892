"""The voice that ships: whole, able to speak, and able to read back what it said."""

from __future__ import annotations

import pytest
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.audio.encoder import SAMPLE_RATE
from spear_accel.audio.files import resample
from spear_accel.decoding import Engine
from spear_accel.decoding.reference import decode_reference
from spear_accel.voice import components
from spear_accel.voice.folder import open_voice
from tests.extras import need_fairseq2

TEXT = "She saw the old house by the river."


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice.load("kathleen")


def test_every_file_is_whole() -> None:
    open_voice("kathleen").verify()


def test_it_is_small_enough_to_ship() -> None:
    folder = open_voice("kathleen").path
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 80e6


def test_it_speaks(voice: Voice) -> None:
    speech = voice.speak(TEXT)
    assert speech.utterances[0].stop_reason == "eos"
    assert 1.0 < speech.seconds < 6.0
    assert len(speech.waveform) == len(speech.tokens) * voice.sample_rate // 50
    level = float(speech.waveform.square().mean().sqrt())
    assert 0.01 < level < 0.3
    assert float(speech.waveform.abs().max()) <= 1.0


@pytest.mark.parametrize("seed", [0, 1])
def test_a_word_without_a_full_stop_is_said_once(voice: Voice, seed: int) -> None:
    for word in ("Banana", "A", "B", "Apple", "Hi", "OK", "Yes", "No", "Hello", "Stop", "Dog", "C", "Go"):
        speech = voice.speak(word, seed=seed)
        assert [utterance.stop_reason for utterance in speech.utterances] == ["eos"], word
        assert 0.2 <= speech.seconds <= 1.5, word


def test_speaking_twice_is_the_same(voice: Voice) -> None:
    one, two = voice.speak(TEXT, seed=3), voice.speak(TEXT, seed=3)
    assert torch.equal(one.tokens, two.tokens)
    assert torch.equal(one.waveform, two.waveform)


def test_the_engine_says_what_the_reference_says(voice: Voice) -> None:
    ids, options = voice.tokenizer.encode("Yes, of course."), DecodeOptions(seed=5, max_tokens=60)
    tokens, reason, _ = decode_reference(voice.model, ids, options)
    result = Engine(voice.model, options).decode([ids])
    assert result.tokens[0].tolist() == list(tokens)
    assert result.stop_reasons == [reason]


def test_it_reads_back_what_it_said(voice: Voice) -> None:
    """Tokens of the made sound resemble the tokens it was made of far more than chance (1 in 512)."""
    need_fairseq2()
    speech = voice.speak(TEXT)
    tokenizer = components.load_speech_tokenizer(open_voice("kathleen"))
    heard = tokenizer.tokenize([resample(speech.waveform, speech.sample_rate, SAMPLE_RATE)])[0]
    assert len(heard) == len(speech.tokens)
    assert float((heard == speech.tokens).float().mean()) > 0.15
