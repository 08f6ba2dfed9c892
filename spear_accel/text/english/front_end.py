"""Written English -> what is read aloud: prepares the text, scans it, and composes what the tokens say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from spear_accel.text.english.composer import BRACKET, DASH, Composer
from spear_accel.text.english.fold import describe_dropped, fold
from spear_accel.text.english.layout import lay_out
from spear_accel.text.english.markup import read_html, read_markdown
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.options import EnglishOptions
from spear_accel.text.english.source import Source
from spear_accel.text.english.tokens import Token
from spear_accel.text.front_end import Normalised, SpokenWord

__all__ = ["ENGLISH", "ClassifiedToken", "English", "tokenise"]


class ClassifiedToken(NamedTuple):
    """A stretch of the user's text, its class, and its words."""

    kind: str
    text: str
    start: int
    end: int
    spoken: str


@dataclass(frozen=True)
class English:
    """The front end for English; call it with a text."""

    options: EnglishOptions = field(default_factory=EnglishOptions)

    def __call__(self, text: str) -> Normalised:
        """Read figures, signs, abbreviations and addresses out in words; drop, with a warning, what cannot be read.

        Of a text that this has put out, nothing changes. Work and memory are linear in the text.
        """
        source, warnings = self._prepare(text)
        if not any(character.isalnum() or character in _READ_ALONE for character in source.text):
            return Normalised("", warnings)
        spoken, words, unsure = self._read(source)
        for _ in range(_MOST_ROUNDS):
            if not _is_unsettled(spoken, unsure):
                break
            again = Source(spoken, *_origins(spoken, words))
            spoken, words, unsure = self._read(again)
        return Normalised(spoken, warnings, words)

    def _read(self, source: Source) -> tuple[str, tuple[SpokenWord, ...], list[int]]:
        """The composed text, its words, and the places where marks or signs that went may have brought words together
        that would be read otherwise."""
        scan, undotted = _rules()
        composer, speller = Composer(undotted), Speller(self.options)
        prepared = source.text
        starts, stops = source.starts, source.stops
        done = 0
        for token in scan(prepared):
            kind, start, end, _, _ = token
            if start > done:
                composer.gap(prepared[done:start])
            done = end
            if kind == "word":
                composer.word(prepared[start:end], starts[start], stops[end - 1])
            elif kind == "plural":
                composer.suffix(_say(token, speller), stops[end - 1])
            elif token.rule is not None:
                first, last = _trimmed(prepared, start, end)
                composer.phrase(_say(token, speller), starts[first], stops[last - 1])
            elif kind == "suffix":
                composer.suffix(prepared[start:end].lower(), stops[end - 1])
            else:
                composer.gap(_between(kind, prepared[start:end]))
        return (*composer.finish(), composer.unsure)

    def tokens(self, text: str) -> Iterator[ClassifiedToken]:
        """The classified tokens of a text, without the spaces and marks between them."""
        source, _ = self._prepare(text)
        speller, (scan, _) = Speller(self.options), _rules()
        for token in scan(source.text):
            if token.kind in ("gap", "sign", "bracket", "dash", "suffix"):
                continue
            start, end = source.span(*_trimmed(source.text, token.start, token.end))
            spoken = _say(token, speller) if token.rule else source.text[token.start : token.end]
            yield ClassifiedToken(token.kind, text[start:end], start, end, " ".join(spoken.split()))

    def _prepare(self, text: str) -> tuple[Source, tuple[str, ...]]:
        source = Source.of(text)
        if self.options.markup:
            source = read_html(source)
        source, dropped = fold(source, self.options.emoji)
        if self.options.markup:
            source = read_markdown(source)
        if "`" in source.text:
            source = source.sub(_BACKTICK, "'")
        source = lay_out(source, self.options.line_ends)
        return source, (describe_dropped(dropped),) if dropped else ()


ENGLISH = English()
# Signs that go may bring an abbreviation into view ("A:.B" -> "A. B"); more rounds than this were never needed.
_MOST_ROUNDS = 3
_REACH = 48
_BACKTICK = re.compile("`")
_READ_ALONE = frozenset("∞∑∫√∂∅")


@cache
def _rules() -> tuple[Callable[..., Iterator[Token]], Mapping[str, str]]:
    """The scanner and its words; its patterns take a moment to compile, so the first text waits, and no import."""
    from spear_accel.text.english.abbreviations import UNDOTTED
    from spear_accel.text.english.scanner import scan

    return scan, UNDOTTED


def tokenise(text: str, options: EnglishOptions | None = None) -> list[ClassifiedToken]:
    """Words, figures and signs of an English text with their classes, spans and readings."""
    return list(English(options or EnglishOptions()).tokens(text))


def _is_unsettled(spoken: str, unsure: list[int]) -> bool:
    """Whether a rule would take hold of the text near one of the places, so that it would change if read again."""
    done = 0
    for place in unsure:
        start, stop = max(done, place - _REACH), place + _REACH
        if stop <= done:
            continue
        start = spoken.rfind(" ", 0, start) + 1 if start > done else done
        for token in _rules()[0](spoken, start, min(stop, len(spoken))):
            if token.rule is not None:
                return True
            done = token.end
    return False


def _origins(spoken: str, words: tuple[SpokenWord, ...]) -> tuple[list[int], list[int]]:
    """For each character of `spoken` where the word that it belongs to, or follows, starts and stops in the source."""
    starts, stops = [0] * len(spoken), [0] * len(spoken)
    for word, following in zip(words, (*words[1:], None), strict=True):
        last = following.position if following else len(spoken)
        starts[word.position : last] = [word.start] * (last - word.position)
        stops[word.position : last] = [word.end] * (last - word.position)
    return starts, stops


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the spaces at the ends of a token."""
    while end - start > 1 and text[end - 1] == " ":
        end -= 1
    while end - start > 1 and text[start] == " ":
        start += 1
    return start, end


def _say(token: Token, speller: Speller) -> str:
    assert token.rule is not None and token.match is not None
    return token.rule.say(token.match, speller)


def _between(kind: str, text: str) -> str:
    if kind == "gap":
        return text
    return {"dash": DASH, "bracket": BRACKET}.get(kind, "~")
