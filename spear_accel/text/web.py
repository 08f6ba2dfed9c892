"""Reads e-mail addresses, web addresses, file names, hashtags and mentions. Knows nothing else of the text."""

from __future__ import annotations

import re

from spear_accel.text.rules import Rule

_SPOKEN = {
    ".": " dot ", "@": " at ", "/": " slash ", "-": " dash ", "_": " underscore ", "?": " question mark ",
    "=": " equals ", "&": " and ", "#": " hash ", ":": " colon ", "%": " percent ", "+": " plus ", "~": " tilde ",
}  # fmt: skip
_TOP_LEVEL = "com|org|net|edu|gov|mil|info|io|ai|dev|app|co|uk|de|fr|eu|tv|ly|ca|au|nz|ie"
_TAIL = r"""[^\s<>"(),;']*[^\s<>"(),;:'.!?]"""


def _address(text: str) -> str:
    spoken = "".join(_SPOKEN.get(character, character) for character in text)
    return f" {spoken} ".replace(" www ", " w w w ")


def _read_url(match: re.Match[str]) -> str:
    return _address(match["rest"].rstrip("/"))


def _read_hash(match: re.Match[str]) -> str:
    return f"number {match['tag']}" if match["tag"].isdigit() else f"hashtag {match['tag']}"


RULES: tuple[Rule, ...] = (
    (
        re.compile(r"(?<![\w.+-])[A-Za-z0-9_][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}"),
        lambda match: _address(match.group()),
    ),
    (re.compile(rf"\b(?:https?|ftp)://(?P<rest>{_TAIL})", re.IGNORECASE), _read_url),
    (
        re.compile(
            rf"(?<![\w.@/-])(?P<rest>(?:[a-z0-9-]{{1,63}}\.){{1,6}}(?:{_TOP_LEVEL})\b(?![.-]\w)(?:/(?:{_TAIL})?)?)",
            re.IGNORECASE,
        ),
        _read_url,
    ),
    (re.compile(r"(?<!\w)#(?P<tag>\d+|[A-Za-z]\w*)"), _read_hash),
    (re.compile(r"(?<!\w)@(?=[A-Za-z])"), lambda match: "at "),
    # "voice.json", "setup.py": a name with a short lower-case ending.
    (re.compile(r"(?<=[A-Za-z0-9_-][A-Za-z0-9_-])\.(?=(?:[a-z]{2,4}[0-9]?|7z)\b)"), lambda match: " dot "),
)
