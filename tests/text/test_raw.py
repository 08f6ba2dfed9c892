"""Texts that are bytes, or ids already."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.text.raw import ByteTokenizer, IdTokenizer, raw_tokenizer


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"])))
def test_bytes_there_and_back(text: str) -> None:
    tokenizer = ByteTokenizer((300, 400))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert not text or tokenizer.encode(text)[:2] == [300, 400]


@given(st.lists(st.integers(0, 29)))
def test_ids_there(ids: list[int]) -> None:
    tokenizer = IdTokenizer(30)
    assert tokenizer.encode(" ".join(map(str, ids))) == ids
    assert len(tokenizer.decode(ids)) == len(ids)


@pytest.mark.parametrize("word", ["30", "-1", "x", "1.5", "²"])
def test_what_is_no_id_is_named(word: str) -> None:
    with pytest.raises(UserError, match=f"'{word}' is no text id"):
        IdTokenizer(30).encode(f"1 {word}")


@pytest.mark.parametrize("tokenizer", [ByteTokenizer((1, 2)), IdTokenizer(7)])
def test_stored_and_read(tokenizer: ByteTokenizer | IdTokenizer) -> None:
    import json

    assert raw_tokenizer(json.loads(json.dumps(tokenizer.to_dict())), "f") == tokenizer


@pytest.mark.parametrize("values", [{}, {"kind": "words"}, {"kind": "ids"}, {"kind": "bytes", "x": 1}])
def test_damage_is_named(values: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        raw_tokenizer(values, "tokenizer.json")
