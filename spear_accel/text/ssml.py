"""SSML to the text that it marks up, with pauses as marks and every character's place in the source.

Parsed by expat, as it comes with Python: it tells the place of each event, which wrappers that make it safe do not.
What they refuse is refused here: document types, and with them entities, so that no text grows while it is read.
Knows the elements `speak p s break sub say-as`; others are dropped, their text stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

from spear_accel.errors import UserError
from spear_accel.text.english.source import Source

__all__ = ["is_ssml", "read_ssml"]

_START = re.compile(r"\s*<(?:speak[\s>/]|\?xml\s|!DOCTYPE\s)")
_STRENGTHS = {"none": 0.0, "x-weak": 0.05, "weak": 0.1, "medium": 0.25, "strong": 0.6, "x-strong": 1.2}
_TIME = re.compile(r"(\d{1,5}(?:\.\d{1,3})?|\.\d{1,3})(ms|s)")
_SENTENCE_PAUSE = 0.2
_PLAIN = frozenset("speak p paragraph s sentence break sub say-as w token".split())
_DIGITS = "zero one two three four five six seven eight nine".split()
_MONTHS = "January February March April May June July August September October November December".split()
_DATE_ORDERS = {"mdy": "mdy", "dmy": "dmy", "ymd": "ymd", "md": "md", "dm": "dm", "my": "my", "ym": "ym", "y": "y"}


def is_ssml(text: str) -> bool:
    """Whether a text is an SSML document."""
    return _START.match(text) is not None and "<speak" in text


def read_ssml(text: str) -> tuple[Source, tuple[str, ...]]:
    """The text to read, with marks like "[pause 250ms]", and a line for what was left out.

    Raises:
        UserError: The document is not well-formed, or declares a document type.
    """
    reader = _Reader(text)
    try:
        reader.parser.Parse(text.encode(), True)
    except UnicodeEncodeError as error:
        raise UserError(f"the SSML holds half a surrogate pair (character {error.start + 1}); take it out") from error
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise UserError(
            f"the SSML is not well-formed ({place}: {expat.ErrorString(error.code)}); mend it there"
        ) from error
    left_out = ", ".join(f"<{name}>" for name in sorted(reader.unknown))
    return reader.source(), (f"left out the mark-up {left_out}; its text is read",) if left_out else ()


@dataclass
class _Content:
    """What stands inside an element that changes how its text is read."""

    name: str
    attributes: dict[str, str]
    start: int
    text: list[str] = field(default_factory=list)


class _Reader:
    """Takes the events of the parser."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Byte offsets of events -> places in the text.
        self._ascii = text.isascii()
        self._byte = self._place = 0
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._open: list[_Content] = []
        self.unknown: set[str] = set()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = False
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse

    def source(self) -> Source:
        """What was collected."""
        return Source("".join(self._pieces), self._starts, self._stops)

    def _here(self) -> int:
        """The place of the present event in the text."""
        byte = self.parser.CurrentByteIndex
        if self._ascii:
            return byte
        ahead = byte - self._byte
        encoded = self._text[self._place : self._place + ahead].encode()[:ahead]
        self._place += len(encoded.decode())
        self._byte = byte
        return self._place

    def _put(self, words: str, start: int, stop: int) -> None:
        """Text that was read from text[start:stop]."""
        self._pieces.append(words)
        self._starts += [start] * len(words)
        self._stops += [stop] * len(words)

    def _refuse(self, *declaration: object) -> None:
        raise UserError("the SSML declares a document type, which is not read; leave <!DOCTYPE ...> out")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name, here = name.rpartition(":")[2], self._here()
        if name not in _PLAIN:
            self.unknown.add(name)
        if name in ("p", "paragraph"):
            self._put("\n\n", here, here)
        elif name == "break":
            seconds = _break_seconds(attributes)
            self._put(f" [pause {round(1000 * seconds)}ms] ", here, here)
        elif name in ("sub", "say-as"):
            self._open.append(_Content(name, attributes, here))

    def _end(self, name: str) -> None:
        name, here = name.rpartition(":")[2], self._here()
        if name in ("p", "paragraph"):
            self._put("\n\n", here, here)
        elif name in ("s", "sentence"):
            self._put(f" [pause {round(1000 * _SENTENCE_PAUSE)}ms] ", here, here)
        elif name in ("sub", "say-as") and self._open:
            content = self._open.pop()
            written = "".join(content.text)
            said = content.attributes.get("alias", written) if name == "sub" else _said_as(written, content.attributes)
            if self._open:
                self._open[-1].text.append(said)
            else:
                # The place of the text between the tags, so that word times show what is written.
                start = self._text.find(">", content.start) + 1
                self._put(said, start, max(here, start + 1))

    def _characters(self, data: str) -> None:
        here = self._here()
        if self._open:
            self._open[-1].text.append(data)
            return
        if not data.startswith("&") and self._text.startswith(data, here):
            self._pieces.append(data)
            self._starts += range(here, here + len(data))
            self._stops += range(here + 1, here + len(data) + 1)
        else:
            # A reference like &amp; is longer than what it stands for.
            self._put(data, here, self._text.find(";", here) + 1)


def _break_seconds(attributes: dict[str, str]) -> float:
    if found := _TIME.fullmatch(attributes.get("time", "").strip()):
        return float(found[1]) / (1000 if found[2] == "ms" else 1)
    return _STRENGTHS.get(attributes.get("strength", "medium"), _STRENGTHS["medium"])


def _said_as(written: str, attributes: dict[str, str]) -> str:
    """The text of a say-as in words, or in a form that the front end reads so."""
    kind = attributes.get("interpret-as", "")
    if kind in ("characters", "spell-out", "verbatim"):
        return ", ".join(
            _DIGITS[int(c)] if c.isascii() and c.isdigit() else c.upper() for c in written if not c.isspace()
        )
    if kind in ("digits", "telephone"):
        return " ".join(_DIGITS[int(c)] if c.isascii() and c.isdigit() else c for c in written if c.isalnum())
    if kind == "ordinal" and written.strip().isdecimal():
        return _ordinal(int(written))
    if kind == "date":
        return _date(written, attributes.get("format", "mdy"))
    return written


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _date(written: str, format: str) -> str:
    """A date by the order of its parts, as the front end reads it: "May 17, 2024"."""
    order, parts = _DATE_ORDERS.get(format.lower().replace(".", "")), re.findall(r"\d+", written)
    if order is None or len(parts) != len(order):
        return written
    found = dict(zip(order, (int(part) for part in parts), strict=True))
    if not 1 <= found.get("m", 1) <= 12:
        return written
    day, year = (str(found["d"]) if "d" in found else ""), (str(found["y"]) if "y" in found else "")
    month = _MONTHS[found["m"] - 1] if "m" in found else ""
    return ", ".join(part for part in (f"{month} {day}".strip(), year) if part)
