"""English words in a sentence: readings by use, weak forms, endings, marks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.text.phonemes.english import MARKS, pronounce, pronounce_word
from spear_accel.text.phonemes.lexicon import Entry, Lexicon

LEXICON = Lexicon({
    "the": Entry("ði"), "a": Entry("A"), "to": Entry("tu"), "apple": Entry("ˈæpᵊl"), "cat": Entry("kˈæt"),
    "use": Entry("jˈuz", {"NOUN": "jˈus"}), "read": Entry("ɹˈid", {"PAST": "ɹˈɛd"}), "dish": Entry("dˈɪʃ"),
    "dog": Entry("dˈɔɡ"), "jump": Entry("ʤˈʌmp"), "need": Entry("nˈid"), "bake": Entry("bˈAk"), "we": Entry("wi"),
    "had": Entry("hæd"), "well": Entry("wˈɛl"), "known": Entry("nˈOn"), "o'clock": Entry("əklˈɑk"),
    "n": Entry("ˈɛn"), "b": Entry("bˈi"), "c": Entry("sˈi"),
})  # fmt: skip


def say(text: str) -> str:
    return "".join(part.phonemes for part in pronounce(text, LEXICON, lambda word: f"<{word}>"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The cat, the apple.", "ðə kˈæt, ði ˈæpᵊl."),
        ("a cat to use", "ɐ kˈæt tə jˈuz"),
        ("The use? We use. To.", "ðə jˈus? wi jˈuz. tu."),
        ("We read; we had read", "wi ɹˈid; wi hæd ɹˈɛd"),
        ("well-known", "wˈɛl nˈOn"),
        ("o'clock", "əklˈɑk"),
        ("", ""),
        ("zyx cat!", "<zyx> kˈæt!"),
    ],
)
def test_sentences(text: str, said: str) -> None:
    assert say(text) == said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cat's", "kˈæts"), ("dog's", "dˈɔɡz"), ("dish's", "dˈɪʃᵻz"), ("dogs'", "dˈɔɡz"), ("dogs", "dˈɔɡz"),
        ("jumped", "ʤˈʌmpt"), ("needed", "nˈidᵻd"), ("baked", "bˈAkt"), ("baking", "bˈAkɪŋ"), ("jumping", "ʤˈʌmpɪŋ"),
        ("NBC", "ˈɛnbˈisˈi"), ("qat", "<qat>"),
    ],
)  # fmt: skip
def test_words(word: str, said: str) -> None:
    assert pronounce_word(word, LEXICON, lambda word: f"<{word}>") == said


@given(st.text(st.sampled_from("the cat apple use read, .?!;:-' ABCzü"), max_size=60))
def test_any_text_is_said_and_every_mark_is_kept(text: str) -> None:
    parts = pronounce(text, LEXICON, lambda word: "x")
    said = "".join(part.phonemes for part in parts)
    assert all(first.span[1] <= second.span[0] for first, second in pairwise(parts))
    assert [c for c in said if c in MARKS] == [c for c in text if c in MARKS]
    assert "  " not in said
    assert said == said.strip()
