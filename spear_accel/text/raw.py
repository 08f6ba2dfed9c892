"""Texts that a model reads as they are written: UTF-8 bytes, or ids that another front end has made.

Stand where a SentencePiece tokenizer stands; kept as `tokenizer.json`, for there is nothing to train.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from spear_accel.errors import UserError

__all__ = ["ByteTokenizer", "IdTokenizer", "raw_tokenizer"]


@dataclass(frozen=True)
class ByteTokenizer:
    """Text <-> its UTF-8 bytes behind a few fixed ids, which choose a language or a rate."""

    prefix: tuple[int, ...] = ()

    verbatim = True
    """Whether texts are not to be rewritten for reading aloud."""
    pad_id = 0
    vocab_size = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", tuple(self.prefix))

    def encode(self, text: str) -> list[int]:
        """Ids of one text; empty for an empty text."""
        return [*self.prefix, *text.encode()] if text else []

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; pads and what is no byte are left out."""
        return bytes(token for token in ids if 0 < token < self.vocab_size).decode(errors="replace")

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The character that each byte belongs to; the fixed ids in front are no letters."""
        return [(place, place + 1) for place, character in enumerate(text) for _ in character.encode()]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "bytes", **asdict(self)}


@dataclass(frozen=True)
class IdTokenizer:
    """Numbers between spaces <-> ids: for models whose texts another program turns into ids."""

    vocab_size: int

    verbatim = True
    pad_id = 0

    def encode(self, text: str) -> list[int]:
        """Raises UserError at the first word that is no id of the model."""
        words = text.split()
        for word in words:
            if not (word.isascii() and word.isdigit() and int(word) < self.vocab_size):
                raise UserError(
                    f"{word[:20]!r} is no text id; this voice reads numbers from 0 to {self.vocab_size - 1}"
                )
        return [int(word) for word in words]

    def decode(self, ids: Iterable[int]) -> str:
        """A letter for every id, so that lengths are those of the ids."""
        return "".join("." for _ in ids)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters of each number."""
        return [match.span() for match in re.finditer(r"\S+", text)]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "ids", **asdict(self)}


def raw_tokenizer(values: dict[str, Any], source: str) -> ByteTokenizer | IdTokenizer:
    """From what `to_dict` gives. Raises UserError naming `source`."""
    kinds = {"bytes": ByteTokenizer, "ids": IdTokenizer}
    given = dict(values)
    kind = given.pop("kind", None)
    try:
        return kinds[kind](**given)  # type: ignore[index, no-any-return]
    except (KeyError, TypeError) as error:
        raise UserError(f"{source}: no text tokenizer that this release knows; restore the file") from error
