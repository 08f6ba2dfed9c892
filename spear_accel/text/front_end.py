"""What a text front end is, and where one comes from: built in, or brought by a package for another language.

A front end is anything that is called with a text and returns a `Normalised`. A package offers one by the entry point
group `spear_accel.text`: the entry point's name is a language ("de", "pt-BR") or any name that a voice gives as its
`front_end`; its value is the callable ("my_package:read_german").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import NamedTuple

from spear_accel.errors import UserError
from spear_accel.storage.entry_points import load_entry

__all__ = ["GROUP", "FrontEnd", "Normalised", "SpokenWord", "front_end_for", "verbatim"]

GROUP = "spear_accel.text"
_WRITTEN_WORD = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]+")
"""Control characters stand for spaces."""


class SpokenWord(NamedTuple):
    """A word as it is read, and the stretch of the written text that it was read from."""

    text: str
    position: int
    """Where it begins in `Normalised.text`."""
    start: int
    """Where its source begins in the written text; several words of "$5" share one source."""
    end: int
    """Where its source ends."""


@dataclass(frozen=True)
class Normalised:
    """`text` as it is to be read (empty when nothing in it can be), one line for each thing left out, and the words."""

    text: str
    warnings: tuple[str, ...] = ()
    words: tuple[SpokenWord, ...] = ()
    """In order. Empty where the front end keeps no sources."""


FrontEnd = Callable[[str], Normalised]


def verbatim(text: str) -> Normalised:
    """A text as it is written, with single spaces and without control characters, in Unicode's composed form."""
    words: list[SpokenWord] = []
    position = 0
    for match in _WRITTEN_WORD.finditer(text):
        word = unicodedata.normalize("NFC", match.group())
        words.append(SpokenWord(word, position, *match.span()))
        position += len(word) + 1
    return Normalised(" ".join(word.text for word in words), words=tuple(words))


def front_end_for(language: str, name: str | None = None) -> FrontEnd:
    """The front end that a voice names, or else that of its language.

    Args:
        language: A language tag ("en", "de-CH"). The whole tag is looked for first, then its first part. Languages
            without a front end are read as they are written.
        name: A front end by name: "english", "verbatim", or an entry point of the group `spear_accel.text`.

    Raises:
        UserError: There is no front end of that name, or the package that brings it cannot be imported.
    """
    if name is not None:
        found = _plugged(name) or _built_in(name)
        if found is None:
            raise UserError(
                f"text front end {name!r}: no such front end; built in are english and verbatim, installed packages "
                f"bring {', '.join(_plugged_names()) or 'none'}; install the package that brings it"
            )
        return found
    tag = language.lower().replace("_", "-")
    for part in dict.fromkeys((tag, tag.split("-")[0])):
        if found := _plugged(part):
            return found
    return _built_in("english") or verbatim if tag.split("-")[0] == "en" else verbatim


def _built_in(name: str) -> FrontEnd | None:
    if name == "verbatim":
        return verbatim
    if name == "english":
        from spear_accel.text.english import ENGLISH

        return ENGLISH
    return None


def _plugged_names() -> list[str]:
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def _plugged(name: str) -> FrontEnd | None:
    entry = next((entry for entry in entry_points(group=GROUP) if entry.name.lower() == name.lower()), None)
    if entry is None:
        return None
    loaded = load_entry(entry, f"text front end {name!r}")
    if not callable(loaded):
        raise UserError(
            f"text front end {name!r}: {entry.value} is not callable; a front end is a function of a text that returns "
            "spear_accel.text.Normalised; mend or remove that package"
        )
    return _checked(loaded, name)


def _checked(loaded: Callable[[str], object], name: str) -> FrontEnd:
    """A plugged front end may return a plain string; anything else than that or a `Normalised` is an error."""

    def read(text: str) -> Normalised:
        spoken = loaded(text)
        if isinstance(spoken, str):
            return Normalised(spoken)
        if not isinstance(spoken, Normalised):
            raise UserError(
                f"text front end {name!r} returned {type(spoken).__name__}; it must return spear_accel.text.Normalised "
                "or a string; mend or remove that package"
            )
        return spoken

    return read
