"""Voice: the same words whatever stands beside them, and nothing lost on the way from text to sound."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spear_accel import DecodeOptions, Voice
from spear_accel.errors import UserError
from spear_accel.voice.folder import open_voice, seal

TEXT = "Hello there. What a fine day, isn't it?\n\nThe year is 1984; the fox is quick!"


@pytest.fixture(scope="module")
def voice(shared_voice: Path) -> Voice:
    return Voice.load(shared_voice)


def same(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.allclose(left, right, atol=1e-5)


def test_speech_holds_what_was_said(voice: Voice) -> None:
    speech = voice.speak(TEXT, seed=3)
    assert [utterance.text for utterance in speech.utterances] == [
        "Hello there.", "What a fine day, isn't it?", "The year is nineteen eighty-four; the fox is quick!",
    ]  # fmt: skip
    assert torch.equal(speech.tokens, torch.cat([utterance.tokens for utterance in speech.utterances]))
    assert speech.tokens.dtype == torch.int64
    assert speech.waveform.dtype == torch.float32 and speech.waveform.dim() == 1
    assert speech.sample_rate == voice.sample_rate == 24_000
    spoken = len(speech.tokens) * 480
    pauses = round(0.2 * 24_000) + round(0.45 * 24_000)
    assert len(speech.waveform) == spoken + pauses
    assert speech.stats.committed >= len(speech.tokens)


def test_a_seed_gives_the_same_speech_again_and_another_gives_another(voice: Voice) -> None:
    first, again, other = (voice.speak(TEXT, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.tokens, again.tokens) and same(first.waveform, again.waveform)
    assert not torch.equal(first.tokens, other.tokens)


def test_a_sentence_does_not_depend_on_its_neighbours(voice: Voice) -> None:
    alone = voice.speak("What a fine day, isn't it?")
    beside = voice.speak(TEXT).utterances[1]
    assert torch.equal(alone.tokens, beside.tokens)


def test_the_joined_stream_is_the_whole(voice: Voice) -> None:
    parts = list(voice.stream(TEXT, seed=5, speed=1.25))
    whole = voice.speak(TEXT, seed=5, speed=1.25)
    assert len(parts) >= 3
    assert same(torch.cat([part.waveform for part in parts]), whole.waveform)
    assert torch.equal(torch.cat([part.tokens for part in parts]), whole.tokens)


def test_groups_do_not_change_the_words(voice: Voice) -> None:
    one_by_one = voice.speak(TEXT, DecodeOptions(batch_size=1))
    assert torch.equal(one_by_one.tokens, voice.speak(TEXT).tokens)


def test_speed_changes_the_length_and_not_the_words(voice: Voice) -> None:
    plain, fast = (voice.speak("Hello there.", speed=speed) for speed in (1.0, 2.0))
    assert torch.equal(plain.tokens, fast.tokens)
    assert abs(len(fast.waveform) - len(plain.waveform) / 2) <= 240


def test_text_to_semantic_and_decode_ids_agree(voice: Voice) -> None:
    options = DecodeOptions(seed=4)
    texts = ["One fox.", "Two foxes, and 3 dogs."]
    result = voice.text_to_semantic(texts, options)
    assert len(result.tokens) == 2
    assert torch.equal(result.tokens[1], voice.text_to_semantic(texts[1:], options).tokens[0])
    ids = [voice.tokenizer.encode(text) for text in ("One fox.", "Two foxes, and three dogs.")]
    for tokens, same_tokens in zip(result.tokens, voice.decode_ids(ids, options).tokens, strict=True):
        assert tokens.dtype == torch.int64
        assert torch.equal(tokens, same_tokens)


def test_ids_that_are_not_of_this_voice_are_refused(voice: Voice) -> None:
    with pytest.raises(UserError, match="text id 9999"):
        voice.decode_ids([[3, 9999]])


def test_tokens_become_sound(voice: Voice) -> None:
    waveform = voice.semantic_to_waveform([1, 2, 3])
    assert waveform.shape == (3 * 480,)
    assert same(waveform, voice.semantic_to_waveform(torch.tensor([1, 2, 3])))


def test_warnings_say_what_was_left_out(voice: Voice) -> None:
    speech = voice.speak("Hi 😀 there. And привет again.")
    assert [line for line in speech.warnings if "left out" in line and "grinning" in line]


def test_a_long_text_comes_in_bounded_pieces(voice: Voice) -> None:
    text = ("word" * 30 + " ") * 100
    first = next(iter(voice.stream(text, DecodeOptions(max_tokens=5))))
    assert len(first.utterances) == 1 and len(first.utterances[0].text) <= 220
    assert "cut off" in first.warnings[0] and "max_length" in first.warnings[0]


@pytest.mark.parametrize(
    ("text", "reason"), [("", "empty"), (" \n ", "empty"), ("&& ...", "no word"), ("😀", "grinning")]
)
def test_a_text_without_words_is_refused(voice: Voice, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=f"can be read aloud: .*{reason}"):
        voice.speak(text)
    with pytest.raises(UserError, match="text 2 of 2"):
        voice.text_to_semantic(["Fine.", text])


@pytest.mark.parametrize("speed", [0.1, 3.0])
def test_a_speed_out_of_range_is_refused(voice: Voice, speed: float) -> None:
    with pytest.raises(UserError, match="speed"):
        voice.speak("Hello.", speed=speed)


def test_a_voice_without_sound_still_makes_tokens(tiny_voice: Path) -> None:
    for path in (tiny_voice / "acoustic").iterdir():
        path.unlink()
    seal(tiny_voice, open_voice(tiny_voice).card)
    voice = Voice.load(tiny_voice)
    assert len(voice.text_to_semantic(["Hello."]).tokens) == 1
    with pytest.raises(UserError, match="ends at semantic tokens"):
        voice.speak("Hello.")


def test_measured_defaults_are_taken_and_checked(tiny_voice: Path) -> None:
    card = open_voice(tiny_voice).card
    (tiny_voice / "decoding.json").write_text(json.dumps({"temperature": 0.25}))
    seal(tiny_voice, card)
    assert Voice.load(tiny_voice).defaults == DecodeOptions(temperature=0.25)
    (tiny_voice / "decoding.json").write_text(json.dumps({"warmth": 1}))
    seal(tiny_voice, card)
    with pytest.raises(UserError, match=r"decoding\.json: unknown option warmth"):
        Voice.load(tiny_voice)


def test_loading_twice_speaks_identically(shared_voice: Path, voice: Voice) -> None:
    again = Voice.load(shared_voice)
    assert torch.equal(again.speak(TEXT).waveform, voice.speak(TEXT).waveform)


def test_lower_precision_speaks_too(shared_voice: Path) -> None:
    voice = Voice.load(shared_voice, dtype=torch.bfloat16)
    assert voice.model.decoder.embedding.weight.dtype == torch.bfloat16
    assert len(voice.speak("Hello there.").waveform)


def test_uttering_says_the_same_tokens_without_sound(voice: Voice) -> None:
    spoken, uttered = voice.speak(TEXT, seed=3), voice.utter(TEXT, DecodeOptions(seed=3))
    assert [one.text for one in uttered] == [one.text for one in spoken.utterances]
    assert all(torch.equal(one.tokens, two.tokens) for one, two in zip(uttered, spoken.utterances, strict=True))


def test_planned_utterances_sound_as_they_are_spoken(voice: Voice) -> None:
    spoken = voice.speak(TEXT, seed=3)
    sound = voice.sound(voice.plan(TEXT), [one.tokens for one in spoken.utterances])
    assert same(sound, spoken.waveform)
    assert voice.text_ids(TEXT) == [voice.tokenizer.encode(one.text) for one in spoken.utterances]


def test_a_voice_of_another_language_is_not_read_as_english(shared_voice: Path) -> None:
    loaded = Voice.load(shared_voice)
    german = Voice(replace(loaded.parts, card=replace(loaded.card, language="de")))
    assert [one.text for one in german.plan("Um 3 Uhr.\n\nJa")] == ["Um 3 Uhr.", "Ja"]
    assert [one.text for one in loaded.plan("At 3.")] == ["At three."]


def test_loading_does_not_load_torchs_compiler(shared_voice: Path) -> None:
    """It takes longer to import than the voice to load."""
    program = f"import sys, spear_accel; spear_accel.Voice.load({str(shared_voice)!r}).speak('Hello.')"
    made = subprocess.run(
        [sys.executable, "-c", f"{program}; sys.exit('torch._dynamo' in sys.modules)"], check=False, timeout=120
    )
    assert made.returncode == 0
