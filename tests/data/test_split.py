"""Held-out recordings: by prompt, stable, and read as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.data.corpus import CorpusEntry
from spear_accel.data.split import Split, choose_split, read_split, split_entries
from spear_accel.errors import UserError


def entries(texts: dict[str, str]) -> list[CorpusEntry]:
    return [CorpusEntry(name, Path(name), text) for name, text in texts.items()]


def test_takes_of_one_sentence_stay_together() -> None:
    corpus = entries({"a": "Yes.", "b": "yes.", "c": "No.", "d": "Maybe.", "e": "Never."})
    for seed in range(8):
        parts = split_entries(corpus, choose_split(corpus, test=1, validation=1, seed=seed))
        where = {entry.id: part for part, found in parts.items() for entry in found}
        assert where["a"] == where["b"] and len(where) == 5
        assert all(parts.values())


def test_prompts_may_be_the_beginnings_of_ids() -> None:
    corpus = entries({"arctic_a0001_1": "x", "arctic_a0001_2": "other", "arctic_a0002_1": "y", "arctic_a0003_1": "z"})
    found = {choose_split(corpus, test=1, validation=1, seed=s, prompt_characters=12).part_of for s in range(9)}
    assert all(part("arctic_a0001_1") == part("arctic_a0001_2") for part in found)


@given(st.sets(st.text(min_size=1, max_size=4), min_size=4, max_size=12), st.integers(0, 9))
def test_a_split_does_not_depend_on_the_order_of_the_corpus(texts: set[str], seed: int) -> None:
    corpus = entries({str(number): text for number, text in enumerate(sorted(texts))})
    if len({text.casefold() for text in texts}) < 3:
        return
    split = choose_split(corpus, test=1, validation=1, seed=seed)
    assert split == choose_split(corpus[::-1], test=1, validation=1, seed=seed)
    assert split_entries(corpus, split)["train"]


def test_too_much_held_out_is_refused() -> None:
    with pytest.raises(UserError, match="2 different sentences cannot give 1 for test and 1 for validation"):
        choose_split(entries({"a": "x", "b": "y"}), test=1, validation=1, seed=0)


def test_an_id_that_begins_like_a_held_out_one_is_not_held_out(tmp_path: Path) -> None:
    Split(("a1",), ("a2",), exact=True).save(tmp_path / "split.json")
    split = read_split(tmp_path / "split.json")
    assert [split.part_of(name) for name in ("a1", "a10", "a2", "b")] == ["test", "train", "validation", "train"]


def test_prefixes_are_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"test": ["a1"]}')
    assert [read_split(tmp_path / "split.json").part_of(name) for name in ("a10", "b")] == ["test", "train"]


@pytest.mark.parametrize(("content", "fault"), [(None, "no such file"), ('{"test": "a"}', "lists of ids")])
def test_a_split_that_cannot_be_read_is_named(tmp_path: Path, content: str | None, fault: str) -> None:
    if content is not None:
        (tmp_path / "split.json").write_text(content)
    with pytest.raises(UserError, match=rf"split\.json: .*{fault}"):
        read_split(tmp_path / "split.json")
