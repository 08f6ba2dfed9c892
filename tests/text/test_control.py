"""What a text says about its own reading: pauses, respellings in place, SSML; with the places of what is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.text import front_end_for
from spear_accel.text.control import LONGEST_PAUSE
from spear_accel.text.feed import TextFeed
from spear_accel.text.front_end import verbatim
from spear_accel.text.plan import PlannedUtterance, plan

ENGLISH = front_end_for("en")


def planned(text: str) -> list[PlannedUtterance]:
    return list(plan(text, 100, ENGLISH))


def read(text: str) -> list[tuple[str, float]]:
    return [(one.text, one.pause) for one in planned(text)]


def sources(text: str) -> list[tuple[str, str]]:
    """Each spoken word and what it was read from."""
    return [(word.text, text[word.start : word.end]) for one in planned(text) for word in one.words]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Wait. [pause 1.5s] Go.", [("Wait.", 0.0), ("Go.", 1.5)]),
        ("Wait [pause 500ms] and go on.", [("Wait.", 0.0), ("and go on.", 0.5)]),
        ("[PAUSE 2 s]Go.", [("Go.", 2.0)]),
        ("Wait.[pause 10ms]Go.", [("Wait.", 0.0), ("Go.", 0.2)]),
        ("Wait.\n\n[pause 1s]\n\nGo.", [("Wait.", 0.0), ("Go.", 1.0)]),
        ("Wait. [pause 99999s] Go.", [("Wait.", 0.0), ("Go.", LONGEST_PAUSE)]),
        ("Go. [pause 3s]", [("Go.", 0.0)]),
    ],
)
def test_pauses(text: str, wanted: list[tuple[str, float]]) -> None:
    assert read(text) == wanted


def test_what_only_looks_like_a_pause_is_read() -> None:
    for text in ("[pause]", "[pause 5]", "[pause -1s]", "[pause 5 minutes]", "pause 5s"):
        assert "pause" in planned(f"A {text} B")[0].text.lower()


def test_words_said_otherwise_keep_their_place() -> None:
    text = "Mr. [Nguyen](say: win) met [Saoirse](say:Sur sha), see [here](https://a.org)."
    assert planned(text)[0].text == "Mister win met Sur sha, see here."
    assert sources(text)[:5] == [
        ("Mister", "Mr."), ("win", "Nguyen"), ("met", "met"), ("Sur", "Saoirse"), ("sha", "Saoirse"),
    ]  # fmt: skip


def test_other_languages_have_them_too() -> None:
    [one, two] = plan("Guten [Tag](say: Taag) [pause 1s] allerseits", 100, verbatim)
    assert (one.text, two.text, two.pause) == ("Guten Taag", "allerseits", 1.0)


SSML = """<?xml version="1.0"?>
<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis">Hé <sub alias="World Wide Web">W3</sub> &amp; more.
<break time="1s"/>On <say-as interpret-as="date" format="dmy">5/6/2024</say-as>:<p><s>One</s><s>Two</s></p>
<prosody rate="slow">And <emphasis>so</emphasis></prosody> on.</speak>"""


def test_ssml_is_read_for_its_meaning() -> None:
    assert read(SSML) == [
        ("He World Wide Web and more.", 0.0), ("On June fifth, twenty twenty-four:", 1.0), ("One.", 0.45),
        ("Two.", 0.2), ("And so on.", 0.45),
    ]  # fmt: skip
    assert planned(SSML)[0].warnings == ("left out the mark-up <emphasis>, <prosody>; its text is read",)
    found = dict(sources(SSML))
    assert found["He"] == "Hé" and found["Wide"] == "W3" and found["and"] == "&amp;" and found["fifth"] == "5/6/2024"


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        ('<say-as interpret-as="characters">ab1</say-as>', "A, B, one."),
        ('<say-as interpret-as="spell-out">ab</say-as>', "A, B."),
        ('<say-as interpret-as="digits">105</say-as>', "one zero five"),
        ('<say-as interpret-as="ordinal">22</say-as>', "twenty-second."),
        ('<say-as interpret-as="cardinal">22</say-as>', "twenty-two."),
        ('<say-as interpret-as="date" format="ymd">2024-5-17</say-as>', "May seventeenth, twenty twenty-four"),
        ('<say-as interpret-as="date" format="md">5/17</say-as>', "May seventeenth."),
        ('<say-as interpret-as="date" format="mdy">99/17/2024</say-as>', "99/17/2024"),
        ('<sub alias="&lt;x&gt; &amp; y">z</sub>', None),
        ("a <w>b</w><unknown/>", "a b."),
    ],
)
def test_elements(marked: str, wanted: str | None) -> None:
    [one] = planned(f"<speak>{marked}</speak>")
    plain = planned("99/17/2024")[0].text if wanted == "99/17/2024" else wanted
    assert plain is None or one.text.rstrip(".") == plain.rstrip(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<speak>a <b</speak>", r"line 1, column 12: not well-formed"),
        ("<speak>a<break></speak>", "mismatched tag"),
        ("<speak>a", "line 1, column 9"),
        ("<speak>&lol;</speak>", "undefined entity"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><speak>&a;</speak>', "declares a document type"),
        ('<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><speak>a</speak>', "declares a document type"),
        ("<speak>\x01</speak>", "invalid token"),
        ("<speak>\ud83d</speak>", "surrogate"),
        ("<speak></speak>", "nothing in the text can be read aloud"),
    ],
)
def test_documents_that_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        planned(text)


def test_a_bomb_of_entities_is_refused_at_once() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    with pytest.raises(UserError, match="declares a document type"):
        planned(f'<!DOCTYPE bomb [<!ENTITY e0 "ha">{levels}]><speak>&e9;</speak>')


def test_deep_and_long_documents_take_their_time_only() -> None:
    assert len(planned("<speak>" + "<p>" * 5000 + "a" + "</p>" * 5000 + "</speak>")) == 1
    assert len(planned("<speak>" + "<s>é one</s>" * 2000 + "</speak>")) == 2000


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<s>", "</s>", "é ", "b. ", "<break/>", "&amp; ", "<sub alias='c'>", "</sub>", "5 "]
        )
    )
)
def test_any_document_is_read_with_places_inside_or_refused(pieces: list[str]) -> None:
    text = f"<speak>{''.join(pieces)}</speak>"
    try:
        found = planned(text)
    except UserError:
        return
    for one in found:
        for word in one.words:
            assert 0 <= word.start < word.end <= len(text)


def test_pauses_in_a_text_that_comes_in_pieces() -> None:
    text = "Wait here for me. [pause 1.5s] Then go on as before. [pause 2s] And so on it goes (as ever). Yes."
    for size in (1, 5, 1000):
        feed = TextFeed(100, ENGLISH)
        found = [one for at in range(0, len(text), size) for one in feed.push(text[at : at + size])]
        assert [*found, *feed.flush()] == planned(text)
