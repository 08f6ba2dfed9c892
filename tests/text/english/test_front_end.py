"""The English front end as a whole: spans, classes, options, mark-up, lines."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.text import English, EnglishOptions, normalise, tokenise


def source_of(written: str, spoken: str) -> str:
    """What a spoken word was read from."""
    word = next(word for word in normalise(written).words if word.text == spoken)
    return written[word.start : word.end]


@pytest.mark.parametrize(
    ("written", "spoken", "source"),
    [
        ("He paid $3.50 today.", "cents", "$3.50"),
        ("On May 5, 2024 it rained", "fifth", "May 5, 2024"),
        ("see **bold** text", "bold", "bold"),
        ("Tom &amp; Jerry", "and", "&amp;"),
        ("a café, naïve", "naive", "naïve"),
        ("we consider nega-\ntive here", "negative", "nega-\ntive"),
        ("the FBI's files", "I's", "FBI's"),
        ("½ cup", "half", "½"),
        ("<p>One</p><p>Two</p>", "Two", "Two"),
        ("1. Mix\n2. Bake", "Bake", "Bake"),
        ("[here](https://example.com/x) now", "now", "now"),
        ("a 😀 b", "b", "b"),
    ],
)
def test_a_spoken_word_keeps_its_source(written: str, spoken: str, source: str) -> None:
    assert source_of(written, spoken) == source


@settings(max_examples=150)
@given(st.text(max_size=60))
def test_words_cover_the_spoken_text_in_order_and_lie_in_the_source(text: str) -> None:
    result = normalise(text)
    position = 0
    for word in result.words:
        assert word.position >= position and result.text[word.position :].startswith(word.text)
        assert 0 <= word.start < word.end <= len(text)
        position = word.position + len(word.text)
    assert "".join(word.text for word in result.words) == "".join(c for c in result.text if c.isalpha() or c == "'")


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("$5", "money"), ("5 km", "measure"), ("5%", "percentage"), ("May 5", "date"), ("3pm", "time"),
        ("1/2", "fraction"),
        ("5th", "ordinal"), ("v1.5", "version"), ("1.5", "decimal"), ("10-20", "range"), ("16:9", "ratio"),
        ("555-123-4567", "telephone"), ("a@example.com", "e-mail address"), ("https://example.com", "web address"),
        ("#fun", "hashtag"), ("@bob", "handle"), ("/usr/bin", "path"), ("setup.py", "file name"),
        ("etc.", "abbreviation"),
        ("Mr. Lee", "title"), ("U.S.", "acronym"), ("FBI", "acronym"), ("XIV", "Roman numeral"), ("1984", "year"),
        ("the '80s", "decade"), ("10⁶", "power"), ("MP3", "code"), ("12", "cardinal"), ("12 Elm St.", "address"),
        ("4.5/5", "rating"), (":)", "emoticon"), ("a < b", "comparison"),
    ],
)  # fmt: skip
def test_a_token_has_its_class(written: str, kind: str) -> None:
    tokens = tokenise(written)
    assert kind in [token.kind for token in tokens]
    assert all(written[token.start : token.end] == token.text for token in tokens)


@pytest.mark.parametrize(
    ("options", "written", "spoken"),
    [
        (EnglishOptions(), "05/06/2024", "May sixth, twenty twenty-four"),
        (EnglishOptions(day_first=True), "05/06/2024", "June fifth, twenty twenty-four"),
        (EnglishOptions(day_first=True), "05/17/2024", "May seventeenth, twenty twenty-four"),
        (EnglishOptions(number_and=True), "105", "one hundred and five"),
        (EnglishOptions(years="cardinal"), "in 1984", "in one thousand nine hundred eighty-four"),
        (EnglishOptions(cents=False), "$3.50", "three dollars fifty"),
        (EnglishOptions(cents=False), "$0.50", "fifty cents"),
        (EnglishOptions(zero="oh"), "555-0100", "five five five, oh one oh oh"),
        (EnglishOptions(emoji=True), "Hi 😀", "Hi grinning face"),
        (EnglishOptions(markup=False), "a *b* c <i>", "a b c i"),
        (EnglishOptions(line_ends=False), "One\nTwo", "One Two"),
    ],
)
def test_a_convention_is_an_option(options: EnglishOptions, written: str, spoken: str) -> None:
    assert English(options)(written).text == spoken


def test_an_option_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match="years must be 'pairs' or 'cardinal', got 'x'"):
        EnglishOptions(years="x")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="zero must be"):
        EnglishOptions(zero="nil")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("The rain in Spain stays mainly in the plain\nand the sun shines", "plain and the sun"),
        ("Milk\nEggs", "Milk. Eggs"),
        ("of the\nWest", "of the West"),
        ("a line that is long enough to have been wrapped\nAt its end", "wrapped At"),
        ("12 Main St.\nSpringfield", "Main Street. Springfield"),
        ("self-\nesteem and twenty-\none", "self-esteem and twenty-one"),
        ("a cloud\nThat floats", "a cloud, That floats"),
        ("A. One\nB. Two", "A, One. B, Two"),
        ("i. one\nii. two", "two, two"),
        ("J. Smith left", "J Smith left"),
    ],
)
def test_line_ends_and_list_numbers(written: str, spoken: str) -> None:
    assert spoken in normalise(written).text


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("# Title\nText", "Title. Text"),
        ("Title\n=====\nText", "Title. Text"),
        ("```\nx = 1\n```", "x equals one"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b. one, two"),
        ("see [the guide][1]\n\n[1]: https://example.com", "see the guide"),
        ("a note[^1]", "a note"),
        (r"\*plain\*", "plain"),
        ("2 * 3 and 2*3*4", "two times three and two times three times four"),
        ("snake_case __init__ _x_", "snake case init x"),
        ("<ul><li>One</li><li>Two</li></ul>", "One. Two"),
        ("<script>f()</script>Hi<style>p{}</style> there", "Hi there"),
        ("<custom>text</custom> 5 < 6", "text five is less than six"),
        ("&lt;5&percnt; &#8212; &bogus; x", "less than five percent - and bogus; x"),
        ("10<sup>6</sup> H<sub>2</sub>O", "ten to the power of six H two O"),
    ],
)
def test_markup_is_read_for_its_meaning(written: str, spoken: str) -> None:
    assert normalise(written).text == spoken


def test_unreadable_parts_are_named_and_the_rest_is_read() -> None:
    result = normalise("Hello 你好 there.")
    assert result.text == "Hello there."
    assert len(result.warnings) == 1 and "2 characters" in result.warnings[0]


@pytest.mark.parametrize("times", [2_000, pytest.param(62_500, marks=pytest.mark.slow)])
def test_a_long_text_without_a_full_stop_is_read_in_bounded_memory(times: int) -> None:
    """The longer one has a megabyte."""
    text = "word 12 and FBI " * times
    tracemalloc.start()
    spoken = normalise(text).text
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spoken.startswith("word twelve and F B I word") and len(spoken) > len(text)
    assert peak < 1000 * len(text)
