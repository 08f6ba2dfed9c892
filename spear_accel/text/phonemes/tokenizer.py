"""Text tokens that are phonemes: a text as it is read aloud, said by lexicon and guesser, an id for each symbol.

Stands where a SentencePiece tokenizer stands. Kept as a folder: ``symbols.json``, ``lexicon.txt.gz`` and the guesser's
``config.json`` and ``model.safetensors``. Id 0 is the pad, id 1 the unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.text.phonemes.english import MARKS, Said, pronounce
from spear_accel.text.phonemes.guesser import Guesser
from spear_accel.text.phonemes.lexicon import Entry, Lexicon
from spear_accel.text.tokenizer import PAD_ID, UNKNOWN_ID

__all__ = ["PhonemeTokenizer"]

LEXICON, SYMBOLS = "lexicon.txt.gz", "symbols.json"
_EXTRA = "ɐʔ" + "ᵻ" + "ʊə"
"""Symbols that the rules of `english` may add."""


class PhonemeTokenizer:
    """Text to ids of phonemes, spaces between words, and marks."""

    verbatim = False
    """Whether texts are not to be rewritten for reading aloud."""
    pad_id = PAD_ID

    def __init__(self, lexicon: Lexicon, guesser: Guesser, symbols: str | None = None) -> None:
        """`symbols`: what has an id, in the order of the ids; all that can be said if None."""
        self.lexicon, self.guesser = lexicon, guesser
        all_symbols = set(lexicon.symbols + guesser.config.symbols + _EXTRA)
        self.symbols = symbols or " " + MARKS + "".join(sorted(all_symbols))
        self._ids = {symbol: place + UNKNOWN_ID + 1 for place, symbol in enumerate(self.symbols)}
        self._guess = lru_cache(maxsize=10_000)(guesser.guess)

    @property
    def vocab_size(self) -> int:
        """Number of ids, pad and unknown included."""
        return len(self.symbols) + UNKNOWN_ID + 1

    def pronounce(self, text: str) -> str:
        """The phonemes of a text, to look at."""
        return "".join(part.phonemes for part in self._said(text))

    def encode(self, text: str) -> list[int]:
        """Ids of one text, without an end token; empty for an empty text."""
        return [self._ids.get(symbol, UNKNOWN_ID) for symbol in self.pronounce(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Which characters of `text` each id of `encode` stands for: those of its word."""
        return [part.span for part in self._said(text) for _ in part.phonemes]

    def _said(self, text: str) -> list[Said]:
        return pronounce(text, self.lexicon, self._guess)

    def decode(self, ids: Iterable[int]) -> str:
        """Phonemes of ids; pads and unknowns are left out."""
        first = UNKNOWN_ID + 1
        return "".join(self.symbols[id - first] for id in map(int, ids) if first <= id < self.vocab_size)

    def respelled(self, entries: Mapping[str, str]) -> PhonemeTokenizer:
        """The same tokenizer with pronunciations of one's own: word -> phonemes.

        Raises:
            UserError: A pronunciation holds a symbol that the tokenizer does not know.
        """
        for word, phonemes in entries.items():
            if unknown := sorted(set(phonemes) - set(self.symbols)):
                raise UserError(
                    f"{word}: {''.join(unknown)} is no phoneme of this voice; it has {self.symbols.strip()}"
                )
        own = {word: Entry(phonemes) for word, phonemes in entries.items()}
        return PhonemeTokenizer(self.lexicon.with_entries(own), self.guesser, self.symbols)

    @classmethod
    def load(cls, folder: str | Path) -> PhonemeTokenizer:
        """Read the folder.

        Raises:
            UserError: A file is missing or damaged.
        """
        folder = Path(folder)
        symbols = files.read_json(folder / SYMBOLS).get("symbols")
        if not isinstance(symbols, str) or not symbols:
            raise UserError(f"{folder / SYMBOLS}: lacks symbols; restore the file")
        return cls(Lexicon.load(folder / LEXICON), Guesser.load(folder), symbols)

    def save(self, folder: str | Path) -> None:
        folder = Path(folder)
        files.make_folder(folder, "write elsewhere")
        self.lexicon.save(folder / LEXICON)
        self.guesser.save(folder)
        files.write_json(folder / SYMBOLS, {"symbols": self.symbols})
