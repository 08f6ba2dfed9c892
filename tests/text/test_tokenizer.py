"""The SentencePiece tokenizer: covers what the normaliser puts out, and stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.text import TextTokenizer, TokenizerConfig, normalise
from spear_accel.text.tokenizer import LETTERS, PAD_ID, PUNCTUATION, UNKNOWN_ID

LINES = ("the quick brown fox jumps over the lazy dog.", "pack my box with five dozen jugs, please!")
KINDS = pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])


@KINDS
@pytest.mark.parametrize("lowercase", [True, False])
def test_nothing_that_normalise_puts_out_is_unknown(kind: str, lowercase: bool) -> None:
    tokenizer = TextTokenizer.train(LINES, TokenizerConfig(90, lowercase, kind))  # type: ignore[arg-type]
    alphabet = LETTERS + LETTERS.upper() + PUNCTUATION
    ids = tokenizer.encode(" ".join(alphabet) + " " + alphabet)
    assert UNKNOWN_ID not in ids and PAD_ID not in ids
    assert max(ids) < tokenizer.vocab_size <= 90


@settings(max_examples=60)
@given(text=st.text(max_size=40))
def test_decoding_gives_the_text_back(tiny_tokenizer: TextTokenizer, text: str) -> None:
    spoken = normalise(text).text.lower()
    assert tiny_tokenizer.decode(tiny_tokenizer.encode(spoken)) == spoken


@KINDS
def test_training_twice_gives_the_same_model(kind: str) -> None:
    config = TokenizerConfig(60, kind=kind)  # type: ignore[arg-type]
    assert TextTokenizer.train(LINES, config).model_bytes == TextTokenizer.train(LINES, config).model_bytes


def test_case_is_folded_only_when_asked_for() -> None:
    folded, kept = (TextTokenizer.train(LINES, TokenizerConfig(90, lowercase)) for lowercase in (True, False))
    assert folded.encode("FOX") == folded.encode("fox")
    assert kept.encode("FOX") != kept.encode("fox")


def test_a_saved_tokenizer_encodes_the_same(tiny_tokenizer: TextTokenizer, tmp_path: Path) -> None:
    tiny_tokenizer.save(tmp_path / "tokenizer.model")
    again = TextTokenizer.load(tmp_path / "tokenizer.model")
    assert again.encode("a lazy fox") == tiny_tokenizer.encode("a lazy fox")


def test_pads_and_no_end_token(tiny_tokenizer: TextTokenizer) -> None:
    assert tiny_tokenizer.encode("") == []
    assert tiny_tokenizer.decode([PAD_ID, *tiny_tokenizer.encode("fox"), PAD_ID]) == "fox"


def test_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    with pytest.raises(UserError, match=r"tokenizer\.model: cannot read"):
        TextTokenizer.load(path)
    path.write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"tokenizer\.model: .*not a SentencePiece model"):
        TextTokenizer.load(path)
    with pytest.raises(UserError, match="8 pieces"):
        TextTokenizer.train(LINES, TokenizerConfig(8))
