"""Times of words in what a voice speaks: in order, inside the sound, with pauses and tempo counted in."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel import Speech, Voice
from spear_accel.alignment.attention import AlignmentScore
from spear_accel.alignment.coverage import measure_coverage
from spear_accel.errors import UserError
from spear_accel.text import front_end_for
from spear_accel.text.plan import plan
from spear_accel.text.raw import ByteTokenizer, IdTokenizer
from spear_accel.timing import timer as timer_module
from spear_accel.timing.timer import WordTimer

TEXT = "Dr. Who paid $5, not 6. Then he left.\n\nYes!"


@pytest.fixture(scope="module")
def voice(shared_voice: Path) -> Voice:
    return Voice.load(shared_voice)


def steady(model: Any, ids: list[int], tokens: torch.Tensor) -> AlignmentScore:
    """An attention that reads on at an even pace."""
    path = [min(len(ids) - 1, token * len(ids) // len(tokens)) for token in range(len(tokens) + 1)]
    return AlignmentScore(measure_coverage(path, len(ids)), 0.9)


@pytest.fixture
def reads_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_module, "align", steady)


def check(speech: Speech, text: str) -> None:
    edges = [edge for word in speech.words for edge in (word.start, word.end)]
    assert edges == sorted(edges) and edges[0] >= 0
    assert edges[-1] <= speech.seconds + 1e-9
    for word in speech.words:
        assert word.whole or word.word == " ".join(text[slice(*word.span)].split())


@pytest.mark.usefixtures("reads_evenly")
@pytest.mark.parametrize("speed", [0.5, 1.0, 1.7])
def test_words_of_the_written_text_with_pauses_and_tempo(voice: Voice, speed: float) -> None:
    speech = voice.speak(TEXT, seed=1, speed=speed, words=True)
    assert [word.word for word in speech.words] == "Dr. Who paid $5 not 6 Then he left Yes".split()
    check(speech, TEXT)
    assert [word.word for word in speech.words if word.last] == ["6", "left", "Yes"]
    gaps = [b.start - a.end for a, b in pairwise(speech.words) if a.last]
    assert gaps[0] >= 0.2 / speed - 1e-3 and gaps[1] >= 0.45 / speed - 1e-3


@pytest.mark.usefixtures("reads_evenly")
def test_streams_and_single_utterances_say_the_same_times(voice: Voice) -> None:
    whole = voice.speak(TEXT, seed=2, words=True).words
    assert tuple(word for part in voice.stream(TEXT, seed=2, words=True) for word in part.words) == whole
    assert tuple(word for part in voice.speak_each(TEXT, seed=2, words=True) for word in part.words) == whole
    assert voice.speak(TEXT, seed=2).words == ()


def test_attention_that_does_not_tell_gives_sentences_and_says_so(voice: Voice) -> None:
    """The tiny voice was never trained."""
    speech = voice.speak(TEXT, seed=1, words=True)
    assert [word.word for word in speech.words] == ["Dr. Who paid $5, not 6", "Then he left", "Yes"]
    assert all(word.whole and word.last for word in speech.words)
    told = [line for line in speech.warnings if "attention does not show" in line]
    assert len(told) == 3 and "the time of the sentence stands instead" in told[0]
    check(speech, TEXT)


def test_a_front_end_without_places_gives_sentences_too(voice: Voice) -> None:
    bare = Voice(voice.parts)
    read = bare.front_end
    bare.front_end = lambda text: replace(read(text), words=())
    speech = bare.speak("Then he left. Yes!", seed=1, words=True)
    assert [word.word for word in speech.words] == ["Then he left.", "Yes!"]
    assert "keeps no places" in speech.warnings[-1]


@settings(max_examples=1000)
@given(st.text(st.characters(codec="utf-8"), max_size=80), st.floats(0.1, 30), st.integers(1, 200), st.integers())
def test_words_of_any_text_are_in_order_and_inside(text: str, seconds: float, count: int, seed: int) -> None:
    """A thousand texts, spoken by paths that no attention would take."""
    tokenizer = ByteTokenizer()
    generator, at = random.Random(seed), 0.0
    try:
        planned = list(plan(text, 40, front_end_for("en")))
    except UserError:
        return
    for one in planned:
        letters = len(tokenizer.encode(one.text))
        path = [generator.randrange(letters) for _ in range(count + 1)]
        score = AlignmentScore(measure_coverage(path, letters), 0.9)
        timer = WordTimer(SimpleNamespace(), tokenizer)  # type: ignore[arg-type]
        words = timer.times(text, one, torch.zeros(count), at, seconds, score).words
        edges = [at, *(edge for word in words for edge in (word.start, word.end)), at + seconds + 1e-6]
        assert edges == sorted(edges)
        at += seconds


def test_letters_of_each_tokenizer_are_places_in_the_text(voice: Voice) -> None:
    text = "She sells: shells"
    for tokenizer in (voice.tokenizer, ByteTokenizer((300,))):
        spans = tokenizer.spans(text)
        assert spans[0][0] == 0 and spans[-1][1] == len(text)
        assert all(first[1] == second[0] for first, second in pairwise(spans))
    assert len(voice.tokenizer.spans(text)) == len(voice.tokenizer.encode(text))
    assert ByteTokenizer().spans("é.") == [(0, 1), (0, 1), (1, 2)]
    assert IdTokenizer(50).spans("7 12") == [(0, 1), (2, 4)]
