"""Lists of words that are read otherwise: phrases, case, places, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from spear_accel import Voice
from spear_accel.errors import UserError
from spear_accel.text import front_end_for
from spear_accel.text.respelling import Respellings, respelled

ENTRIES = (
    ("SQL", "sequel"),
    ("new york", "Noo Yawk"),
    ("new york city", "the city"),
    ("O'Brien", "oh brine"),
    ("U.N", "you en"),
)


def read(text: str) -> str:
    return respelled(front_end_for("en"), Respellings(ENTRIES))(text).text


def test_words_phrases_and_case() -> None:
    assert read("SQL, sql.") == "sequel, S Q L."
    assert read("In New  York we met.") == "In Noo Yawk we met."
    assert read("In NEW YORK CITY, not new york.") == "In the city, not Noo Yawk."
    assert read("New, York.") == "New, York."
    assert read("Mr. O'Brien's, o'brien") == read("Mr. O'Brien's, o'brien")
    assert read("MySQL and SQLite") == front_end_for("en")("MySQL and SQLite").text
    assert read("") == ""


def test_a_capital_goes_before_small_letters() -> None:
    both = respelled(front_end_for("en"), Respellings((("polish", "shine"), ("Polish", "of Poland"))))
    assert both("Polish it. polish it. POLISH").text.startswith("of Poland it. shine it. shine")


def test_words_keep_the_places_of_what_is_written() -> None:
    text = "To New York!"
    words = respelled(front_end_for("en"), Respellings(ENTRIES))(text).words
    assert [(word.text, text[word.start : word.end]) for word in words] == [
        ("To", "To"), ("Noo", "New York"), ("Yawk", "New York"),
    ]  # fmt: skip


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("\ufeff# mine\nNguyen\twin\n\nnew york\tNoo Yawk\n", encoding="utf-8")
    assert Respellings.load(path) == Respellings((("Nguyen", "win"), ("new york", "Noo Yawk")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Nguyen win\n", "line 1: give a word, a tab"),
        (b"a\tb\nNguyen\t\n", "line 2: give a word, a tab"),
        (b"a\tb\tc\n", "line 1: give a word, a tab"),
        (b"&&\tand\n", "line 1: respelling of '&&': it is no word"),
        (b"a\xff\tb\n", "not UTF-8 text"),
    ],
)
def test_wrong_files_name_the_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "names.tsv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        Respellings.load(path)
    with pytest.raises(UserError, match="cannot read"):
        Respellings.load(tmp_path / "none.tsv")


def test_a_voice_speaks_them_and_keeps_its_engine(shared_voice: Path) -> None:
    voice = Voice.load(shared_voice)
    other = voice.with_respellings(Respellings((("shells", "bells"),)))
    assert other.generator is voice.generator
    assert other.speak("She sells shells.", seed=1).utterances[0].text == "She sells bells."
    assert voice.speak("She sells shells.", seed=1).utterances[0].text == "She sells shells."
    assert [word.word for word in other.speak("She sells shells.", seed=1, words=True).words] == ["She sells shells"]
