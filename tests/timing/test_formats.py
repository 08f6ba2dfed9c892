"""Files of word times, read back by other packages' readers."""

from __future__ import annotations

import html
import json
import math
from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from praatio import textgrid

from spear_accel.errors import UserError
from spear_accel.timing import WordTime
from spear_accel.timing.captions import captions
from spear_accel.timing.files import WORD_FORMATS, check_words_path, write_words
from spear_accel.timing.formats.base import Transcript

TEXT = 'Dr. Who said: "I paid 5 < 6 & left." Then (slowly) we went, and on we went, and on, and on until it was night.'


def spoken(text: str, gap: float = 0.05) -> Transcript:
    """A word of the text every third of a second; sentences end where a full stop and a capital meet."""
    words, at = [], 0
    for number, word in enumerate(text.split()):
        start = text.index(word, at)
        at = start + len(word)
        ends = word.endswith(('."', "!")) or at == len(text)
        words.append(WordTime(word.strip('",!()'), number / 3 + gap, (number + 1) / 3, (start, at), last=ends))
    return Transcript(text, words, len(words) / 3 + 0.1, "my sound")


SAID = spoken(TEXT)


def written(folder: Path, ending: str, said: Transcript = SAID) -> Path:
    path = folder / f"words.{ending}"
    write_words(path, said)
    return path


def test_json_is_the_list_of_words(tmp_path: Path) -> None:
    found = json.loads(written(tmp_path, "json").read_text(encoding="utf-8"))
    assert found[0] == {"word": "Dr.", "start": 0.05, "end": 0.333}
    assert len(found) == len(SAID.words)
    assert json.loads(written(tmp_path, "JSON", spoken("")).read_text()) == []


@pytest.mark.parametrize("ending", ["srt", "vtt"])
def test_captions_are_what_a_player_reads(tmp_path: Path, ending: str) -> None:
    read = pysubs2.load(str(written(tmp_path, ending)))
    shown = [html.unescape(event.plaintext) for event in read]
    assert " ".join(shown).replace("\n", " ").split() == TEXT.split()
    assert all(line == line.strip() and len(line) <= 42 for text in shown for line in text.split("\n"))
    assert all(text.count("\n") <= 1 for text in shown)
    assert [event.start for event in read] == [round(1000 * one.start) for one in captions(SAID.words, TEXT)]
    assert all(first.end <= second.start for first, second in pairwise(read))
    assert 'left."' in shown[0].replace("\n", " ") or 'left."' in shown[1]


def test_a_text_grid_is_what_praat_reads(tmp_path: Path) -> None:
    grid = textgrid.openTextgrid(str(written(tmp_path, "TextGrid")), includeEmptyIntervals=True)
    entries = grid.getTier("words").entries
    assert [entry.label for entry in entries if entry.label] == [word.word for word in SAID.words]
    assert entries[0].start == 0 and math.isclose(grid.maxTimestamp, SAID.seconds, abs_tol=1e-5)
    assert all(first.end == second.start for first, second in pairwise(entries))


def test_a_ctm_has_five_fields_a_line(tmp_path: Path) -> None:
    said = Transcript("3:45 pm", [WordTime("3:45 pm", 0.5, 1.25, (0, 7))], 2.0, "my sound")
    assert written(tmp_path, "ctm", said).read_text() == "my_sound 1 0.500 0.750 3:45_pm\n"


def test_a_sentence_without_word_times_is_a_caption_of_its_own() -> None:
    text = "One two. Three four, and much more that does not fit into a line or into two of them, whatever happens."
    words = [
        WordTime(text[:8], 0.0, 0.4, (0, 8), last=True, whole=True),
        WordTime(text[9:], 0.6, 5.0, (9, len(text)), last=True, whole=True),
    ]
    first, second = captions(words, text)
    assert first.lines == ("One two.",) and (first.start, first.end) == (0.0, 0.6)
    assert " ".join(second.lines) == text[9:]


@given(st.lists(st.text("ab.,!?\"' \n", max_size=12), max_size=12), st.floats(0, 0.3))
def test_captions_show_every_word_once_and_in_order(pieces: list[str], gap: float) -> None:
    said = spoken(" ".join(pieces), gap)
    shown = captions(said.words, said.text)
    assert " ".join(line for one in shown for line in one.lines).split() == said.text.split()
    assert all(one.start < one.end for one in shown)
    assert all(first.end <= second.start for first, second in pairwise(shown))
    for format in WORD_FORMATS.values():
        assert isinstance(format(said), str)


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"words\.doc: word times go to a file that ends with \.json"):
        check_words_path(tmp_path / "words.doc")
    with pytest.raises(UserError, match="no such folder"):
        check_words_path(tmp_path / "nowhere" / "words.srt")
