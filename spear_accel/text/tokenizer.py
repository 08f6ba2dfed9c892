"""Text tokens: a SentencePiece model, trained or loaded.

Does not normalise numbers, symbols or other scripts (`spear_accel.text.normalise` does) and does not know
about start or end tokens: ids are those of the text alone. Id 0 is the pad, id 1 stands for the unknown.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Literal

import sentencepiece

from spear_accel.errors import UserError
from spear_accel.storage import files

PAD_ID = 0
UNKNOWN_ID = 1
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PUNCTUATION = "',.?!;:-"
_SPACE = "\u2581"
"""SentencePiece's sign for a space."""


@dataclass(frozen=True)
class TokenizerConfig:
    """How a tokenizer is trained.

    `vocab_size` counts the pad and the unknown; it is an upper limit, since a small corpus cannot fill a large one.
    `lowercase` folds case inside the model, so that whoever encodes later need not know of it.
    """

    vocab_size: int = 256
    lowercase: bool = True
    kind: Literal["unigram", "bpe", "char"] = "unigram"


def piece_spans(pieces: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Which characters of `text` each of its SentencePiece pieces stands for."""
    ends = list(accumulate(map(len, pieces)))
    # The model puts a space in front of a text; folding case or width may change its length.
    front = int(bool(pieces) and pieces[0].startswith(_SPACE) and not text.startswith(" "))
    scale = len(text) / max(1, (ends[-1] if ends else 0) - front)
    edges = [max(0, round((end - front) * scale)) for end in (0, *ends)]
    return list(pairwise(edges))


class TextTokenizer:
    """Text <-> ids. Deterministic; the same file gives the same ids everywhere."""

    verbatim = False
    """Whether texts are not to be rewritten for reading aloud."""

    def __init__(self, model: bytes) -> None:
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise UserError("the text tokenizer is not a SentencePiece model; take tokenizer.model again") from error
        if not model or self._processor.vocab_size() < 1:
            raise UserError("the text tokenizer is empty; take tokenizer.model again")
        self._model = model

    @classmethod
    def load(cls, path: str | Path) -> TextTokenizer:
        """Read `tokenizer.model`. Raises UserError when it is missing or is not a SentencePiece model."""
        try:
            model = Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot read the text tokenizer ({error.strerror})") from error
        try:
            return cls(model)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    @classmethod
    def train(cls, lines: Iterable[str], config: TokenizerConfig = TokenizerConfig()) -> TextTokenizer:
        """Train on normalised lines. Every letter and mark that `normalise` can put out gets a piece of its own."""
        alphabet = LETTERS + PUNCTUATION + ("" if config.lowercase else LETTERS.upper())
        # The alphabet line keeps every character in the corpus itself, which "char" needs.
        sentences = [*(line for line in lines if line.strip()), " ".join(alphabet)]
        trained = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=trained,
                vocab_size=config.vocab_size,
                model_type=config.kind,
                normalization_rule_name="nmt_nfkc_cf" if config.lowercase else "nmt_nfkc",
                character_coverage=1.0,
                required_chars=alphabet,
                hard_vocab_limit=False,
                pad_id=PAD_ID,
                unk_id=UNKNOWN_ID,
                bos_id=-1,
                eos_id=-1,
                num_threads=1,
                shuffle_input_sentence=False,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            raise UserError(f"cannot train a text tokenizer of {config.vocab_size} pieces: {error}") from error
        return cls(trained.getvalue())

    def save(self, path: str | Path) -> None:
        files.write_bytes(path, self._model)

    @property
    def model_bytes(self) -> bytes:
        """What `save` writes."""
        return self._model

    @property
    def vocab_size(self) -> int:
        """Number of ids, pad and unknown included."""
        return int(self._processor.vocab_size())

    @property
    def pad_id(self) -> int:
        return PAD_ID

    def encode(self, text: str) -> list[int]:
        """Ids of one text, without an end token. Length X; empty for an empty text."""
        return list(self._processor.encode(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; pads are left out. Equals the (case-folded) input of `encode`."""
        return str(self._processor.decode([int(i) for i in ids if i != PAD_ID]))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Which characters of `text` each id of `encode` stands for; spaces belong to the piece behind them."""
        return piece_spans(self.pieces(text), text)

    def pieces(self, text: str) -> list[str]:
        """The pieces of `encode`, to look at."""
        return list(self._processor.encode(text, out_type=str))
