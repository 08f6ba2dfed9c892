"""Reads the lines of an input file: plain text, LJSpeech csv or JSON Lines.

A bad line is reported by its number and harms no other. Knows no voice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from spear_accel.errors import UserError
from spear_accel.synth.line import MAX_CHARACTERS, BadLine, Line

__all__ = ["BadLine", "Line", "read_lines"]

_KEYS = ("id", "text", "seed", "speed", "voice")
_FREE_KEYS = frozenset(("seeds", "uid", "idx"))
"""Close to keys that are read, and known from other manifests."""
_ALIKE = 0.75
_HEADINGS = (
    frozenset("id ids file filename file_name name path wav audio audio_path clip utterance utt utt_id".split()),
    frozenset(
        "text texts transcript transcription sentence raw raw_text raw_transcription normalized_text normalised_text "
        "normalized_transcription prompt".split()
    ),
)
_PLAIN_WORD = re.compile(r"(?<![\w.])[A-Za-z]?[a-z]+(?:'[a-z]+)?(?![\w.])")


def read_lines(data: bytes, name: str, kind: str) -> tuple[list[Line], list[BadLine]]:
    """Reads the lines of a whole input.

    Text is UTF-8, with or without a byte order mark, with any line ends. In txt a line is an utterance and its number
    the id; in csv it is `id|text` or `id|text|normalised text`, as LJSpeech has it, below a heading or not; in JSON
    lines an object with `text` and, optionally, `id`, `seed`, `speed` and `voice`.

    Raises:
        UserError: There is no line at all.
    """
    parse = _PARSERS[kind]
    good: list[Line] = []
    bad: list[BadLine] = []
    seen: dict[str, int] = {}
    for number, raw in _numbered(data):
        if kind == "csv" and not good and not bad and _is_heading(raw):
            bad.append(BadLine(number, None, "names the fields of the lines below it", heading=True))
            continue
        try:
            line = parse(number, _decoded(raw))
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
    return _line(number, f"{number:06d}", text.strip())


def _is_heading(raw: bytes) -> bool:
    """ "id|text" above the lines of a csv."""
    fields = [field.strip().strip('"').lower() for field in raw.decode("utf-8", "replace").split("|")]
    return 2 <= len(fields) <= 3 and fields[0] in _HEADINGS[0] and all(field in _HEADINGS[1] for field in fields[1:])


def _from_csv(number: int, text: str) -> Line:
    fields = [field.strip() for field in text.split("|")]
    if len(fields) not in (2, 3):
        raise _Refused(
            f"has {len(fields)} fields between pipes; give id|text or id|text|normalised text, and write a pipe inside "
            "a text as a comma",
            fields[0] if len(fields) > 1 else None,
        )
    id, written = fields[:2]
    spoken = fields[2] if len(fields) == 3 else ""
    if spoken and _is_other_text(written, spoken):
        raise _Refused(
            f"its normalised text {spoken[:40]!r} has no word of its text {written[:40]!r}; where the pipe belongs to "
            "the text, write a comma",
            id,
        )
    return _line(number, id, written or spoken, spoken=spoken or None)


def _is_other_text(written: str, spoken: str) -> bool:
    """Whether `spoken` cannot be a normalised form of `written`: that leaves words in small letters as they are.

    Abbreviations, figures and words in capitals may all be written out, so a text of these alone tells nothing.
    """
    words = {word.lower() for word in _PLAIN_WORD.findall(written)}
    lowered = {word.lower() for word in re.findall(r"[A-Za-z]+(?:'[a-z]+)?", spoken)}
    return bool(words) and not words & lowered


def _from_json(number: int, text: str) -> Line:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"is not JSON ({str(error)[:80]})") from error
    if not isinstance(values, dict):
        raise _Refused("is no JSON object")
    # Data frames write null or NaN where a row has no value; NaN alone differs from itself.
    given = {key: value for key, value in values.items() if value is not None and value == value}
    id = _plain(given.get("id", f"{number:06d}"))
    id = str(id) if isinstance(id, int) and not isinstance(id, bool) else id
    if not isinstance(id, str):
        raise _Refused("its id is no text")
    _check_keys(given, id)
    if not isinstance(given.get("text"), str):
        raise _Refused("lacks a text", id)
    voice = given.get("voice")
    if voice is not None and not isinstance(voice, str):
        raise _Refused("its voice is no text", id)
    return _line(number, id, given["text"].strip(), _plain(given.get("seed")), given.get("speed", 1.0), voice)


def _check_keys(given: dict[str, Any], id: str) -> None:
    """Refuse a key that only just misses one that is read: its value would be left out without a word."""
    for key in given:
        if key in _KEYS or key in _FREE_KEYS:
            continue
        meant = [known for known in _KEYS if known == key.lower()] or get_close_matches(key, _KEYS[1:], 1, _ALIKE)
        if meant:
            raise _Refused(f"has the unknown key {key[:40]!r}; did you mean {meant[0]!r}?", id)


def _plain(value: Any) -> Any:
    """A whole number where data frames have made a fraction of it: 7.0 is 7."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _line(
    number: int, id: str, text: str, seed: Any = None, speed: Any = 1.0, voice: str | None = None,
    spoken: str | None = None,
) -> Line:  # fmt: skip
    try:
        return Line(number, id, text, seed, speed, voice, spoken)
    except UserError as error:
        raise _Refused(str(error), id) from error


_PARSERS: dict[str, Callable[[int, str], Line]] = {"txt": _from_text, "csv": _from_csv, "jsonl": _from_json}
