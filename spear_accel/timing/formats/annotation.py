"""JSON, NIST's CTM and Praat's TextGrid: word times for programs and phoneticians."""

from __future__ import annotations

import json
from collections.abc import Iterator

from spear_accel.timing.formats.base import Transcript

__all__ = ["ctm", "textgrid", "word_list"]


def word_list(said: Transcript) -> str:
    """A JSON list of objects with `word`, `start` and `end`, a word a line."""
    rows = ",\n".join(f"  {json.dumps(word.to_dict(), ensure_ascii=False)}" for word in said.words)
    return f"[\n{rows}\n]\n" if rows else "[]\n"


def ctm(said: Transcript) -> str:
    """`name 1 start duration word` a line. The fields of a CTM stand between spaces, so those of a name or a word
    become "_"."""
    return "".join(
        f"{_field(said.name)} 1 {word.start:.3f} {word.end - word.start:.3f} {_field(word.word)}\n"
        for word in said.words
    )


def textgrid(said: Transcript) -> str:
    """A TextGrid in the long form, with one tier, "words"; silences are intervals without a label."""
    intervals = list(_intervals(said))
    end = max(said.seconds, intervals[-1][1] if intervals else 0.0)
    rows = "".join(
        f"        intervals [{number}]:\n            xmin = {start:.6f}\n            xmax = {stop:.6f}\n"
        f'            text = "{label}"\n'
        for number, (start, stop, label) in enumerate(intervals, 1)
    )
    return (
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = {end:.6f}\ntiers? <exists>\n'
        f'size = 1\nitem []:\n    item [1]:\n        class = "IntervalTier"\n        name = "words"\n'
        f"        xmin = 0\n        xmax = {end:.6f}\n        intervals: size = {len(intervals)}\n{rows}"
    )


def _intervals(said: Transcript) -> Iterator[tuple[float, float, str]]:
    """Words and the silences between them, without a gap. Edges are whole microseconds, so that they meet."""
    at = 0.0
    for word in said.words:
        start, end = round(word.start, 6), round(word.end, 6)
        if start > at:
            yield at, start, ""
        if end > start:
            yield start, end, word.word.replace('"', '""')
        at = max(at, end)
    if round(said.seconds, 6) > at:
        yield at, round(said.seconds, 6), ""


def _field(text: str) -> str:
    return "_".join(text.split())
