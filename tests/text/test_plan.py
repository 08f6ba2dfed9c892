"""Utterances of a text: short ones are closed, and every word knows where it was written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.text import normalise
from spear_accel.text.front_end import Normalised, verbatim
from spear_accel.text.plan import plan


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Apple", "Apple."),
        ("OK", "O K."),
        ("Hi there", "Hi there."),
        ("A", "A."),
        ("Hi!", "Hi!"),
        ("No, Ann", "No, Ann."),
    ],
)
def test_a_word_or_two_are_closed_with_a_full_stop(text: str, spoken: str) -> None:
    assert [one.text for one in plan(text, 220, normalise)] == [spoken]


def test_longer_texts_and_verbatim_ones_stay_open() -> None:
    assert [one.text for one in plan("and then he left", 220, normalise)] == ["and then he left"]
    assert [one.text for one in plan("Hi", 220, verbatim)] == ["Hi"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('"Stop!" he said.', 1),
        ('"Really?" she asked. "Yes."', 2),
        ('"No!" Mary cried.', 1),
        ("Stop! Go.", 2),
        ("Yahoo! Inc. fell. It rose.", 2),
        ("The U.S. Army left. Mr. J. R. Smith stayed, e.g. at 3.5 p.m. today.", 2),
        ("It works.but slowly.", 2),
    ],
)
def test_a_sentence_ends_where_its_tokens_say(text: str, count: int) -> None:
    assert len(list(plan(text, 220, normalise))) == count


def test_words_are_placed_in_the_utterance_and_in_the_whole_text() -> None:
    text = "First, $5.\n\n  Then Dr. Who. It ended in 1999."
    for one in plan(text, 220, normalise):
        assert one.words
        for word in one.words:
            assert one.text[word.position : word.position + len(word.text)] == word.text
    spans = {word.text: text[word.start : word.end] for one in plan(text, 220, normalise) for word in one.words}
    assert spans["dollars"] == "$5" and spans["Who"] == "Who" and spans["nineteen"] == "1999"


def test_a_front_end_without_words_will_do() -> None:
    utterances = list(plan("a b", 220, lambda text: Normalised(text.upper(), ("odd",))))
    assert [(one.text, one.warnings, one.words) for one in utterances] == [("A B.", ("odd",), ())]


@given(st.sampled_from(["a", "1", "ab", "xyz", "-x", "'a", "é", "supercalifragilistic"]), st.integers(200, 3000))
@settings(max_examples=30, deadline=None)
def test_a_text_without_a_space_is_cut_into_utterances_of_bounded_length(part: str, times: int) -> None:
    """Digits become words, letters are cut anywhere; nothing of them is lost."""
    text = part * times
    planned = list(plan(text, 100, normalise))
    assert all(len(one.text) <= 130 for one in planned)
    letters = sum(character.isalnum() for one in planned for character in one.text)
    assert letters >= sum(character.isalnum() for character in text)
