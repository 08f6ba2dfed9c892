"""What is decoded: the built-in sentences, and the user's lines with their faults named."""

from __future__ import annotations

import pytest

from spear_accel.bench import SENTENCES, choose_texts, split_lines
from spear_accel.errors import UserError
from spear_accel.text import normalise


def test_the_sentences_are_varied_and_readable() -> None:
    lengths = [len(sentence) for sentence in SENTENCES]
    assert 20 <= len(SENTENCES) == len(set(SENTENCES)) <= 40
    assert min(lengths) >= 3 and max(lengths) <= 90
    assert sum(length < 25 for length in lengths) >= 8 and sum(length > 60 for length in lengths) >= 12
    assert all(normalise(sentence).text == sentence for sentence in SENTENCES)


def test_lines_are_utterances_and_blank_ones_are_passed_over() -> None:
    assert split_lines("One fox.\n\n  Two foxes.  \r\n", "a.txt") == ["One fox.", "Two foxes."]


@pytest.mark.parametrize(
    ("text", "fault"),
    [("", "a.txt: holds no text"), (" \n\n", "a.txt: holds no text"), ("Fine.\n\n&& ...", "a.txt, line 3: nothing")],
)
def test_lines_that_cannot_be_read_are_named(text: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        split_lines(text, "a.txt")


def test_a_batch_must_be_filled() -> None:
    texts = ["a", "b", "c"]
    assert choose_texts(texts, 2, 2) == ["a", "b"]
    assert choose_texts(texts, None, 3) == texts
    with pytest.raises(UserError, match="only 3 texts"):
        choose_texts(texts, 4, 1)
    with pytest.raises(UserError, match="batch size 3 cannot be filled by 2 texts"):
        choose_texts(texts, 2, 3)
