"""The kinds of text tokenizer that a voice may have: SentencePiece, phonemes, bytes, ids or a pretrained model's.

Knows files and folders. Does not know voices.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.text.hugging_face import PretrainedTokenizer, load_pretrained
from spear_accel.text.phonemes import PhonemeTokenizer
from spear_accel.text.phonemes.tokenizer import SYMBOLS
from spear_accel.text.raw import ByteTokenizer, IdTokenizer, raw_tokenizer
from spear_accel.text.tokenizer import TextTokenizer

__all__ = ["AnyTokenizer", "load_tokenizer", "written_text"]

AnyTokenizer = TextTokenizer | PhonemeTokenizer | ByteTokenizer | IdTokenizer | PretrainedTokenizer


def load_tokenizer(path: str | Path) -> AnyTokenizer:
    """The tokenizer in a folder (phonemes, a pretrained model's), a JSON file (bytes, ids) or another (SentencePiece).

    Raises:
        UserError: It is missing or damaged.
    """
    path = Path(path)
    if path.suffix == ".json":
        return raw_tokenizer(files.read_json(path), str(path))
    if not path.is_dir():
        return TextTokenizer.load(path)
    return PhonemeTokenizer.load(path) if (path / SYMBOLS).is_file() else load_pretrained(path)


def written_text(tokenizer: AnyTokenizer, tokens: Iterable[int]) -> str:
    """What a model wrote, as text.

    Raises:
        UserError: The tokens are no text.
    """
    if not isinstance(tokenizer, PretrainedTokenizer):
        raise UserError("the tokens of this voice stand for sounds, not for text; take them as numbers")
    return tokenizer.written(tokens)
