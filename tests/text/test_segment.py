"""Cutting text: marks first, a hard limit, and nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.text import paragraphs, segment


def visible(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("text", "longest", "expected"),
    [
        ("", 20, []),
        ("One. Two? Three! Four", 20, ["One.", "Two?", "Three!", "Four"]),
        ("It cost 3.5 of them.", 30, ["It cost 3.5 of them."]),
        ("aaaa bbbb; cccc dddd eeee", 14, ["aaaa bbbb;", "cccc dddd eeee"]),
        ("aaaa bbbb, cccc dddd", 12, ["aaaa bbbb,", "cccc dddd"]),
        ("aaaa bbbb cccc dddd", 14, ["aaaa bbbb", "cccc dddd"]),
        ("a fox ran through the wood", 20, ["a fox ran", "through the wood"]),
        ("we saw in the wood that it rained", 28, ["we saw in the wood", "that it rained"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ('He said "no." Then he left.', 40, ['He said "no."', "Then he left."]),
    ],
)
def test_cuts(text: str, longest: int, expected: list[str]) -> None:
    assert segment(text, longest) == expected


@settings(max_examples=150)
@given(st.text(alphabet="ab .,;:?!-\n", max_size=120), st.integers(1, 40))
def test_nothing_is_lost_and_no_piece_is_too_long(text: str, longest: int) -> None:
    pieces = segment(text, longest)
    assert all(0 < len(piece) <= longest and piece == piece.strip() for piece in pieces)
    assert visible("".join(pieces)) == visible(text)


@settings(max_examples=100)
@given(st.text(max_size=120), st.integers(1, 40))
def test_paragraphs_lose_nothing(text: str, longest: int) -> None:
    pieces = list(paragraphs(text, longest))
    assert all(0 < len(piece) <= longest for piece in pieces)
    assert visible("".join(pieces)) == visible(text)


def test_paragraphs_end_at_blank_lines_only() -> None:
    assert list(paragraphs("one\ntwo\n \n\nthree\n")) == ["one\ntwo", "three"]


@pytest.mark.parametrize("unit", ["a", "word ", "a. ", ", ", "\n\n", "."])
def test_100_000_characters_of_anything_are_cut(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    pieces = [piece for paragraph in paragraphs(text) for piece in segment(paragraph)]
    assert visible("".join(pieces)) == visible(text)
    assert all(len(piece) <= 220 for piece in pieces)


def test_a_limit_that_holds_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        segment("a", 0)
