"""From a path through the letters to times of words: in order, inside the sound, whatever the path."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.text import front_end_for
from spear_accel.text.front_end import SpokenWord
from spear_accel.timing.words import WrittenWord, monotonic, token_spans, written_words


def test_each_word_lasts_from_its_first_letter_to_its_last() -> None:
    # "ab cd": two tokens a letter, three in the space, one behind the text.
    path = [0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4]
    assert token_spans(path, [(0, 2), (3, 5)]) == [(0, 4), (7, 11)]


def test_a_word_that_got_no_token_shares_those_of_the_next() -> None:
    path = [0, 0, 1, 1, 8, 8, 8, 8, 9, 9, 9]
    assert token_spans(path, [(0, 2), (3, 5), (6, 10)]) == [(0, 4), (4, 6), (6, 10)]
    assert token_spans([0, 0, 0], [(0, 1), (2, 4), (5, 6)]) == [(0, 0.5), (0.5, 1.5), (1.5, 2.0)]


def test_going_back_and_forth_becomes_one_way() -> None:
    assert monotonic([0, 1, 5, 2, 3, 6]).tolist() == [0, 1, 3.5, 3.5, 4, 6]
    assert monotonic([0, 1, 2]).tolist() == [0, 1, 2]


@given(st.data())
def test_any_path_gives_words_in_order_and_inside(data: st.DataObject) -> None:
    letters = data.draw(st.integers(1, 40))
    path = data.draw(st.lists(st.integers(0, letters - 1), min_size=2, max_size=60))
    edges = sorted(data.draw(st.sets(st.integers(0, letters), min_size=2)) if letters > 1 else {0, 1})
    words = list(pairwise(edges))
    if data.draw(st.booleans()):
        words = words[::2]
    spans = token_spans(path, words)
    flat = [edge for span in spans for edge in span]
    assert len(spans) == len(words) and flat == sorted(flat)
    assert flat[0] >= 0 and flat[-1] <= len(path) - 1
    assert all(end > start for start, end in spans)
    assert np.isfinite(flat).all()


def test_spoken_words_of_one_source_are_one_written_word() -> None:
    read = front_end_for("en")('Pay $3.50 at 3:45 pm, "Dr." Who!')
    text = 'Pay $3.50 at 3:45 pm, "Dr." Who!'
    found = [text[slice(*word.span)] for word in written_words(read.words)]
    assert found == ["Pay", "$3.50", "at", "3:45 pm", "Dr.", "Who"]
    spoken = [read.text[slice(*word.spoken)] for word in written_words(read.words)]
    assert spoken[1] == "three dollars and fifty cents"
    assert written_words([SpokenWord("a", 0, 0, 1), SpokenWord("b", 2, 1, 2)]) == [
        WrittenWord((0, 1), (0, 1)),
        WrittenWord((1, 2), (2, 3)),
    ]


@given(st.text(max_size=60))
def test_languages_read_as_written_keep_the_places_of_their_words(text: str) -> None:
    read = front_end_for("fr")(text)
    for word in read.words:
        assert read.text[word.position : word.position + len(word.text)] == word.text
        assert len(text[word.start : word.end].split()) == 1
    assert " ".join(word.text for word in read.words) == read.text
