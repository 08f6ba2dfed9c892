"""E-mail and web addresses, paths, file names, hashtags, handles, command options."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.capitals import spoken_capitals
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS, LETTERS, UPPER
from spear_accel.text.english.tokens import Match, rule

__all__ = ["RULES"]

_SIGNS = tables.pairs("web_signs")
_TOP = "|".join(sorted(tables.words("top_level_domains"), key=len, reverse=True))
_EXTENSION = "|".join(sorted(tables.words("file_extensions"), key=len, reverse=True))
_TAIL = r"""(?:[^\s<>"(),;']|\([^\s<>"()]{0,200}\))*[^\s<>"(),;:'.!?*]"""
_RUN = re.compile(r"\d+|[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]|.")
_ABBREVIATED = re.compile(r"[a-z](?:\.[a-z]){1,4}")
_COUNTRIES = frozenset("ae ai au ca de ee eu ie io uk us ua za".split())
_HUMPS = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|_+")
_VOWEL = re.compile("[aeiouy]", re.IGNORECASE)


def _spoken(text: str, spell: Speller) -> str:
    """An address a piece at a time: words as words, figures, signs by their names, short vowelless runs spelled."""
    pieces = _RUN.findall(text)
    return " ".join(
        " ".join(piece.upper()) if before == "." and piece in _COUNTRIES else _piece(piece, spell)
        for before, piece in zip(["", *pieces], pieces, strict=False)
    )


def _piece(piece: str, spell: Speller) -> str:
    if piece.isdecimal():
        return _figures(piece, spell)
    if piece == "etc":
        return "E T C"
    if piece in _SIGNS:
        return _SIGNS[piece]
    if not piece.isalpha():
        return " "
    if piece.isupper() and len(piece) > 1:
        return spoken_capitals(piece, alone=True)
    if len(piece) <= 4 and not _VOWEL.search(piece):
        return " ".join(piece)
    return piece


def _figures(figures: str, spell: Speller) -> str:
    if len(figures) == 4 and figures[:2] in ("19", "20"):
        return spell.year(figures)
    return spell.cardinal(figures) if len(figures) <= 2 else spell.digits(figures)


def _address(match: Match, spell: Speller) -> str:
    return _spoken(match["rest"].rstrip("/"), spell)


def _whole(match: Match, spell: Speller) -> str:
    return _spoken(match.group(), spell)


def _file(match: Match, spell: Speller) -> str:
    return f"{_spoken(match['stem'], spell)} dot {_ending(match['ending'], spell)}"


def _ending(text: str, spell: Speller) -> str:
    """The ending of a file: spelled unless it is a word ("pdf", but "json" and "text")."""
    return " dot ".join(_one_ending(part, spell) for part in text.split("."))


def _one_ending(part: str, spell: Speller) -> str:
    known = {"py": "py", "json": "json", "zip": "zip", "doc": "doc", "log": "log", "bat": "bat", "tar": "tar",
             "gif": "gif", "wav": "wav", "bin": "bin", "toml": "toml", "conf": "conf", "lock": "lock", "java": "java",
             "swift": "swift", "php": "P H P", "go": "go", "iso": "iso", "ini": "ini", "html": "H T M L"}  # fmt: skip
    return known.get(part) or _spoken(part, spell) if not part.isalpha() or part in known else " ".join(part)


def _hashtag(match: Match, spell: Speller) -> str:
    tag = match["tag"]
    return f"number {spell.cardinal(tag)}" if tag.isdecimal() else f"hashtag {_humps(tag, spell)}"


def _handle(match: Match, spell: Speller) -> str:
    return f"at {_spoken(match['name'].rstrip('.'), spell)}"


def _humps(text: str, spell: Speller) -> str:
    return " ".join(
        _figures(part, spell) if part.isdecimal() else "underscore" if part[0] == "_" else
        spoken_capitals(part, alone=True) if part.isupper() and len(part) > 1 else part
        for part in _HUMPS.findall(text)
    )  # fmt: skip


def _option(match: Match, spell: Speller) -> str:
    dashes = " ".join(["dash"] * len(match["dashes"]))
    return f"{dashes} {_spoken(match['name'], spell)}"


def _dotted_name(match: Match, spell: Speller) -> str:
    return f"dot {match['name'] if match['name'] != 'NET' else 'net'}"


def _is_domain(match: Match) -> bool:
    """No missing space after a full stop ("works.it"): endings that are words need a path or "www" beside them."""
    last = match["top"].lower()
    return last not in ("it", "is", "in", "at", "be", "us", "me", "no", "so", "name", "shop", "news", "club") or (
        "/" in match.group() or match.group().lower().startswith("www.")
    )


RULES = (
    rule(
        "e-mail address",
        LETTERS + DIGITS + "_",
        r"(?:mailto:)?(?P<rest>[A-Za-z0-9_][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6})",
        _address,
    ),
    rule(
        "web address",
        LETTERS,
        rf"(?:(?:https?|ftp|ftps|sftp|ssh|git|file|ws|wss|s3)://)(?P<rest>{_TAIL})",
        _address,
        flags=re.IGNORECASE,
    ),
    rule(
        "web address",
        LETTERS + DIGITS,
        rf"(?P<rest>(?:[a-z0-9-]{{1,63}}\.){{1,6}}(?P<top>{_TOP})\b(?![.-]\w)(?::\d{{2,5}})?(?:/(?:{_TAIL})?)?)",
        _address,
        _is_domain,
        re.IGNORECASE,
    ),
    rule("web address", "wW", rf"(?P<rest>www\.{_TAIL})", _address, flags=re.IGNORECASE),
    rule(
        "file name",
        LETTERS + DIGITS + "_",
        rf"(?P<stem>[\w-]{{1,64}}(?:\.[\w-]{{1,32}}){{0,3}}?)\.(?P<ending>(?:tar\.)?(?:{_EXTENSION}))(?![\w/]|\.\w)",
        _file,
        lambda match: not match["stem"].replace(".", "").isdecimal() and not _ABBREVIATED.fullmatch(match.group()),
    ),
    rule("path", UPPER, r"[A-Z]:\\[\w\\. -]{0,200}[\w\\]", _whole),
    rule("path", "~./", r"(?<![\w/])(?:~|\.{1,2})?/(?:[\w.@+-]{1,64}/){0,12}[\w.@+-]{0,63}[\w/]", _whole),
    rule("path", LETTERS + "_", rf"(?:[\w.-]{{1,64}}/){{1,12}}[\w-]{{1,64}}\.(?:{_EXTENSION})(?!\w)", _whole),
    rule("hashtag", "#", r"(?<![\w&])#(?P<tag>\d+(?!\w)|\w{0,30}[A-Za-z]\w{0,60})", _hashtag),
    rule("handle", "@", r"(?<!\w)@(?P<name>[A-Za-z_][\w.]{0,40})", _handle),
    rule("option", "-", r"(?<![^\s\"'(\[])(?P<dashes>--)(?P<name>[a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?![\w'])", _option),
    rule(
        "option",
        "-",
        r"(?<![^\s\"'(\[])(?P<dashes>-)(?P<name>[A-Za-z])(?![\w.'-])",
        _option,
        lambda match: match.start() > 0,
    ),
    rule("name", ".", r"(?<![\w.])\.(?P<name>NET|com|org|net|py|js|txt|pdf|gitignore|env)\b", _dotted_name),
)
