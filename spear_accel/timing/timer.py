"""The times of the words of one utterance, read from the cross-attention of the model that spoke it.

Knows one utterance at a time, its tokens and how long its sound is. Does not know how the sound was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from spear_accel.alignment.attention import AlignmentScore, align
from spear_accel.model import TextToSemantic
from spear_accel.text.plan import PlannedUtterance
from spear_accel.timing.words import WordTime, token_spans, written_words

__all__ = ["UtteranceTimes", "WordTimer"]

_TRUSTED_PEAKINESS = 0.4
"""Attention that is less peaky than this tells no times of words."""


class Tokenizer(Protocol):
    """What the timer asks of a text tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Which characters of the text each of the model's letters stands for."""


@dataclass(frozen=True)
class UtteranceTimes:
    """The words of an utterance, and a line of warning where they are not known."""

    words: tuple[WordTime, ...]
    warnings: tuple[str, ...] = ()


class WordTimer:
    """Tells when the words of utterances are said, for one model."""

    def __init__(self, model: TextToSemantic, tokenizer: Tokenizer) -> None:
        self._model, self._tokenizer = model, tokenizer

    def times(
        self,
        text: str,
        planned: PlannedUtterance,
        tokens: Tensor,
        start: float,
        seconds: float,
        score: AlignmentScore | None = None,
    ) -> UtteranceTimes:
        """The words of `text` that an utterance says.

        Args:
            text: The whole written text, which the places of `planned.words` refer to.
            planned: The utterance.
            tokens: int64 [n], without EOS.
            start: When its first token sounds, in seconds.
            seconds: How long its tokens sound; each takes the same time.
            score: Of the tokens, if they were aligned before.
        """
        if not len(tokens):
            return UtteranceTimes(())
        words = written_words(planned.words)
        if not words:
            reason = "its text front end keeps no places of words"
            return self._whole(planned.text, (0, 0), planned, start, seconds, reason)
        score = score or align(self._model, self._tokenizer.encode(planned.text), tokens)
        if score.peakiness < _TRUSTED_PEAKINESS:
            reason = "the model's attention does not show where it reads"
            whole = (words[0].span[0], words[-1].span[1])
            return self._whole(text[slice(*whole)], whole, planned, start, seconds, reason)
        letters = self._tokenizer.spans(planned.text)
        spans = token_spans(score.alignment.path, [_letters_of(word.spoken, letters) for word in words])
        scale = seconds / len(tokens)
        return UtteranceTimes(
            tuple(
                WordTime(
                    _one_line(text[slice(*word.span)]),
                    start + first * scale,
                    start + stop * scale,
                    word.span,
                    last=word is words[-1],
                )
                for word, (first, stop) in zip(words, spans, strict=True)
            )
        )

    def _whole(
        self, written: str, span: tuple[int, int], planned: PlannedUtterance, start: float, seconds: float, reason: str
    ) -> UtteranceTimes:
        """The utterance as if it were one word."""
        warning = f"no times of words for {planned.text[:60]!r}: {reason}; the time of the sentence stands instead"
        return UtteranceTimes(
            (WordTime(_one_line(written), start, start + seconds, span, last=True, whole=True),), (warning,)
        )


def _letters_of(word: tuple[int, int], letters: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """First letter and the letter behind the last of a stretch of characters."""
    inside = [number for number, (start, stop) in enumerate(letters) if start < word[1] and stop > word[0]]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


def _one_line(written: str) -> str:
    return " ".join(written.split())
