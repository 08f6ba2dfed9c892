"""Texts that arrive in pieces: the utterances are those of the whole, wherever the pieces end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spear_accel.text import front_end_for
from spear_accel.text.feed import TextFeed
from spear_accel.text.front_end import Normalised, verbatim
from spear_accel.text.plan import PlannedUtterance, plan

ENGLISH = front_end_for("en")
SENTENCES = (
    "Dr. Smith paid $3.50 at 3:45 p.m. on 5/17.", "Stop! he said, and went.", "Is it (really) so?", 'She said: "No."',
    "It is 3. 5 metres would do.", "We met Mr. A. B. Jones, Jr., of Acme Inc. in the U.S.", "No! Mary cried.",
    "He was forty-two years old; it was a cold night, so they came back from the market again and said nothing at all, "
    "because nothing had been said to them by anybody on the way, which was a long way.",
    "Yes.", "**Bold** words and *others* are read.", "Visit https://example.com/a.b?c=d, or mail to me@example.com.",
)  # fmt: skip


def fed(pieces: list[str], longest: int = 100) -> list[PlannedUtterance]:
    feed = TextFeed(longest, ENGLISH)
    found = [one for piece in pieces for one in feed.push(piece)]
    assert feed.text == "".join(pieces)
    return [*found, *feed.flush()]


@given(st.lists(st.tuples(st.sampled_from(SENTENCES), st.sampled_from((" ", " ", "\n\n"))), min_size=1), st.data())
def test_pieces_that_end_anywhere_make_the_whole(parts: list[tuple[str, str]], data: st.DataObject) -> None:
    text = "".join(sentence + gap for sentence, gap in parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=40)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert fed(pieces) == list(plan(text, 100, ENGLISH))
    assert fed(list(text)) == list(plan(text, 100, ENGLISH))


def test_a_sentence_comes_as_soon_as_a_few_words_follow() -> None:
    feed = TextFeed(100, ENGLISH)
    assert feed.push("Hello there. It is a") == []
    assert [one.text for one in feed.push(" very fine day")] == ["Hello there."]
    [rest] = feed.flush()
    assert rest.text == "It is a very fine day" and rest.pause == 0.2
    assert feed.flush() == []
    [later] = [*feed.push("And more to come behind"), *feed.flush()]
    assert later.words[0].start == len("Hello there. It is a very fine day")


def test_a_sentence_without_end_does_not_wait_for_ever() -> None:
    feed = TextFeed(100, ENGLISH)
    came = [len(feed.push("and so on ")) for _ in range(1000)]
    assert sum(came) > 50


def test_nothing_to_read_is_no_utterance_and_no_error() -> None:
    feed = TextFeed(100, ENGLISH)
    assert feed.push("... && ...... && ...... && ...") == feed.flush() == feed.flush() == []
    assert [one.text for one in [*feed.push("Well."), *feed.flush()]] == ["Well."]


def test_front_ends_without_places_wait_for_the_end() -> None:
    feed = TextFeed(100, lambda text: Normalised(verbatim(text).text))
    assert feed.push("Hello there. It is a fine day. And so on it goes.") == []
    assert len(feed.flush()) == 3
