"""The kinds of text tokenizer that a voice may have: SentencePiece, phonemes, bytes or ids.

Knows files and folders. Does not know voices.
"""

from __future__ import annotations

from pathlib import Path

from spear_accel.storage import files
from spear_accel.text.phonemes import PhonemeTokenizer
from spear_accel.text.raw import ByteTokenizer, IdTokenizer, raw_tokenizer
from spear_accel.text.tokenizer import TextTokenizer

__all__ = ["AnyTokenizer", "load_tokenizer"]

AnyTokenizer = TextTokenizer | PhonemeTokenizer | ByteTokenizer | IdTokenizer


def load_tokenizer(path: str | Path) -> AnyTokenizer:
    """The tokenizer in a folder (phonemes), a JSON file (bytes or ids) or any other file (SentencePiece).

    Raises:
        UserError: It is missing or damaged.
    """
    path = Path(path)
    if path.suffix == ".json":
        return raw_tokenizer(files.read_json(path), str(path))
    return PhonemeTokenizer.load(path) if path.is_dir() else TextTokenizer.load(path)
