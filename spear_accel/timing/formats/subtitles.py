"""SubRip (.srt) and WebVTT (.vtt): captions for people."""

from __future__ import annotations

from spear_accel.timing.captions import captions
from spear_accel.timing.formats.base import Transcript

__all__ = ["srt", "vtt"]


def srt(said: Transcript) -> str:
    """SubRip: numbered captions."""
    blocks = (
        f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n" + "\n".join(one.lines) + "\n"
        for number, one in enumerate(captions(said.words, said.text), 1)
    )
    return "\n".join(blocks)


def vtt(said: Transcript) -> str:
    """WebVTT; signs that mark up text there are escaped."""
    blocks = (
        f"\n{_clock(one.start, '.')} --> {_clock(one.end, '.')}\n{_escaped(chr(10).join(one.lines))}\n"
        for one in captions(said.words, said.text)
    )
    return "WEBVTT\n" + "".join(blocks)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
