"""Reads the lines of an input file: plain text, LJSpeech csv or JSON Lines.

A bad line is reported by its number and harms no other. Knows no voice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from spear_accel.errors import UserError

__all__ = ["BadLine", "Line", "read_lines"]

MAX_CHARACTERS = 20_000
"""Of a line; it is one sound file, and this is about half an hour of speech."""
_ID = re.compile(r"[A-Za-z0-9][\w.@+-]{0,119}", re.ASCII)
_MIN_SPEED, _MAX_SPEED = 0.5, 2.0


@dataclass(frozen=True)
class Line:
    """One line of the input, which becomes one sample of the dataset."""

    number: int
    """Of the line in the input, counted from 1."""
    id: str
    """Unique in the input; names the files of the sample."""
    text: str
    seed: int | None = None
    speed: float = 1.0
    voice: str | None = None


@dataclass(frozen=True)
class BadLine:
    """A line of the input that cannot be read, and why."""

    number: int
    id: str | None
    reason: str


def read_lines(data: bytes, name: str, kind: str) -> tuple[list[Line], list[BadLine]]:
    """Reads the lines of a whole input.

    Text is UTF-8, with or without a byte order mark, with any line ends. In txt a line is an utterance and its number
    the id; in csv it is `id|text` or `id|text|normalised text`, as LJSpeech has it; in JSON lines an object with
    `text` and, optionally, `id`, `seed`, `speed` and `voice`.

    Raises:
        UserError: There is no line at all.
    """
    parse = _PARSERS[kind]
    good: list[Line] = []
    bad: list[BadLine] = []
    seen: dict[str, int] = {}
    for number, raw in _numbered(data):
        try:
            line = _checked(parse(number, _decoded(raw)))
            # Names that differ in case alone are one file on some systems.
            if (first := seen.setdefault(line.id.lower(), number)) != number:
                raise _Refused(f"the id {line.id!r} is that of line {first}", line.id)
            good.append(line)
        except _Refused as fault:
            bad.append(BadLine(number, fault.id, fault.reason))
    if not good and not bad:
        raise UserError(f"{name}: holds no line to speak; give one utterance a line")
    return good, bad


class _Refused(Exception):
    def __init__(self, reason: str, id: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.id = reason, id


def _numbered(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    for number, raw in enumerate(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), start=1):
        if raw.strip():
            yield number, raw


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(f"is not UTF-8 (byte {error.start + 1})") from error
    if "\0" in text:
        raise _Refused("holds a NUL byte")
    if len(text) > 4 * MAX_CHARACTERS:
        raise _Refused(f"has {len(text)} characters; split it, {MAX_CHARACTERS} are the most")
    return text


def _from_text(number: int, text: str) -> Line:
    return Line(number, f"{number:06d}", text.strip())


def _from_csv(number: int, text: str) -> Line:
    fields = text.split("|")
    if len(fields) not in (2, 3):
        raise _Refused(f"has {len(fields)} fields between pipes; give id|text or id|text|normalised text")
    return Line(number, fields[0].strip(), (fields[-1].strip() or fields[1].strip()))


def _from_json(number: int, text: str) -> Line:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"is not JSON ({str(error)[:80]})") from error
    if not isinstance(values, dict):
        raise _Refused("is no JSON object")
    id = values.get("id", f"{number:06d}")
    id = str(id) if isinstance(id, int) and not isinstance(id, bool) else id
    if not isinstance(id, str):
        raise _Refused("its id is no text")
    if not isinstance(values.get("text"), str):
        raise _Refused("lacks a text", id)
    seed, speed, voice = values.get("seed"), values.get("speed", 1.0), values.get("voice")
    if seed is not None and not _is(seed, int):
        raise _Refused("its seed is no whole number", id)
    if not _is(speed, (int, float)):
        raise _Refused("its speed is no number", id)
    if voice is not None and not isinstance(voice, str):
        raise _Refused("its voice is no text", id)
    return Line(number, id, values["text"].strip(), seed, float(speed), voice)


def _is(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _checked(line: Line) -> Line:
    if not _ID.fullmatch(line.id):
        raise _Refused(
            f"the id {line.id[:60]!r} is no name for a file; use letters, figures and . _ - + @, "
            "a letter or figure first"
        )
    if "\ud800" <= max(line.text, default="") <= "\udfff":
        raise _Refused("its text holds half a surrogate pair", line.id)
    if not line.text:
        raise _Refused("its text is empty", line.id)
    if len(line.text) > MAX_CHARACTERS:
        raise _Refused(f"its text has {len(line.text)} characters; split it, {MAX_CHARACTERS} are the most", line.id)
    if not _MIN_SPEED <= line.speed <= _MAX_SPEED:
        raise _Refused(f"its speed {line.speed:g} is outside {_MIN_SPEED:g} to {_MAX_SPEED:g}", line.id)
    return line


_PARSERS: dict[str, Callable[[int, str], Line]] = {"txt": _from_text, "csv": _from_csv, "jsonl": _from_json}
