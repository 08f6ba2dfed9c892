"""What is decoded: the built-in sentences, and the user's lines with their faults named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spear_accel import Voice, importers
from spear_accel.bench import SENTENCES, built_in_sentences, choose_texts, split_lines
from spear_accel.errors import UserError
from spear_accel.text import normalise
from tests.importers.conftest import spear_table
from tests.importers.test_whisperspeech import package


def test_the_sentences_are_varied_and_readable() -> None:
    lengths = [len(sentence) for sentence in SENTENCES]
    assert 20 <= len(SENTENCES) == len(set(SENTENCES)) <= 40
    assert min(lengths) >= 3 and max(lengths) <= 90
    assert sum(length < 25 for length in lengths) >= 8 and sum(length > 60 for length in lengths) >= 12
    assert all(normalise(sentence).text == sentence for sentence in SENTENCES)


@pytest.fixture(scope="module")
def voice(shared_voice: Path) -> Voice:
    return Voice.load(shared_voice)


def test_lines_are_utterances_and_blank_ones_are_passed_over(voice: Voice) -> None:
    assert split_lines("One fox.\n\n  Two foxes.  \r\n", "a.txt", voice) == ["One fox.", "Two foxes."]


@pytest.mark.parametrize(
    ("text", "fault"),
    [("", "a.txt: holds no text"), (" \n\n", "a.txt: holds no text"), ("Fine.\n\n&& ...", "a.txt, line 3: nothing")],
)
def test_lines_that_cannot_be_read_are_named(text: str, fault: str, voice: Voice) -> None:
    with pytest.raises(UserError, match=fault):
        split_lines(text, "a.txt", voice)


def test_the_voice_says_what_can_be_read(shared_voice: Path, voice: Voice, tmp_path: Path) -> None:
    """Chinese is nothing for an English voice, and a text for one that reads bytes; words are none for one of ids."""
    chinese, numbers = "你好，世界。", "3 4 5"
    with pytest.raises(UserError, match=r"a\.txt, line 1: nothing in the text"):
        split_lines(chinese, "a.txt", voice)
    torch.save(package(), tmp_path / "t2s.model")
    options = importers.ImportOptions(language="zh")
    importers.save_voice(importers.load(tmp_path / "t2s.model", "whisperspeech", options), tmp_path / "zh")
    assert split_lines(chinese, "a.txt", Voice.load(tmp_path / "zh")) == [chinese]
    torch.save(spear_table(), tmp_path / "ids.pt")
    options = importers.ImportOptions(text_tokenizer="ids")
    importers.save_voice(importers.load(tmp_path / "ids.pt", "spear-tts-pytorch", options), tmp_path / "ids")
    ids = Voice.load(tmp_path / "ids")
    assert split_lines(numbers, "a.txt", ids) == [numbers]
    with pytest.raises(UserError, match=r"voice 'ids' cannot read the built-in sentences; give lines with --text"):
        built_in_sentences(ids)
    assert built_in_sentences(voice) == list(SENTENCES)


def test_a_batch_must_be_filled() -> None:
    texts = ["a", "b", "c"]
    assert choose_texts(texts, 2, 2) == ["a", "b"]
    assert choose_texts(texts, None, 3) == texts
    with pytest.raises(UserError, match="only 3 texts"):
        choose_texts(texts, 4, 1)
    with pytest.raises(UserError, match="batch size 3 cannot be filled by 2 texts"):
        choose_texts(texts, 2, 3)
