"""Text tokenizers of Hugging Face models: `tokenizer.json`, or SentencePiece with a table of ids.

Unlike the other tokenizers they put the start and the end of a text in themselves, as the model was trained with, and
can also turn what the model writes into text. Kept as a folder with `tokenizer.json` or with `pieces.json` and the
SentencePiece models. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sentencepiece

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.text.tokenizer import piece_spans

__all__ = ["JsonTokenizer", "PieceTokenizer", "PretrainedTokenizer", "load_pretrained"]

JSON, PIECES, SOURCE, TARGET = "tokenizer.json", "pieces.json", "source.model", "target.model"


class JsonTokenizer:
    """A `tokenizer.json`, run by the package `tokenizers` (extra `hugging-face`)."""

    verbatim = True
    """Whether texts are not to be rewritten for reading aloud."""
    pad_id = 0

    def __init__(self, content: str, source: str = JSON) -> None:
        """
        Args:
            content: Of the file.
            source: Its path, for errors.

        Raises:
            UserError: The package is not installed, or the file is no tokenizer.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise UserError(
                f"{source}: needs the package tokenizers; install it with: pip install 'spear-accel[hugging-face]'"
            ) from error
        try:
            self._tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # The package raises plain exceptions of its own.
            raise UserError(f"{source}: no tokenizer of Hugging Face ({str(error)[:80]}); take the original") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return JsonTokenizer, (self._content,)

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return int(max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1)

    def encode(self, text: str) -> list[int]:
        """Ids of one text as the model reads them; empty for an empty text."""
        return list(self._tokenizer.encode(text).ids) if text else []

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids, those of the text or those that the model wrote; special ones are left out."""
        return str(self._tokenizer.decode([int(id) for id in ids], skip_special_tokens=True))

    written = decode

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Which characters of `text` each id of `encode` stands for; none where it stands for no text."""
        return [(int(first), int(end)) for first, end in self._tokenizer.encode(text).offsets] if text else []

    def save(self, folder: str | Path) -> None:
        files.make_folder(folder, "write elsewhere")
        files.write_text(Path(folder) / JSON, self._content)


class PieceTokenizer:
    """SentencePiece, the ids of its pieces, and what stands around a text."""

    verbatim = True
    pad_id = 0

    def __init__(
        self,
        source: bytes,
        ids: Mapping[str, int] | None = None,
        around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
        unknown: int = 0,
        target: bytes | None = None,
    ) -> None:
        """
        Args:
            source: The SentencePiece model of the texts.
            ids: Of each piece; None takes the model's own.
            around: Ids in front of every text and behind it.
            unknown: Id of a piece that has none.
            target: The SentencePiece model of what the model writes; None: the same.

        Raises:
            UserError: One of the two is no SentencePiece model.
        """
        self._models = source, target
        self._source = _processor(source)
        self._target = self._source if target is None else _processor(target)
        self.ids, self.around, self.unknown = None if ids is None else dict(ids), around, unknown
        self._pieces = None if ids is None else {id: piece for piece, id in ids.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return PieceTokenizer, (self._models[0], self.ids, self.around, self.unknown, self._models[1])

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        own = int(self._source.vocab_size()) - 1 if self.ids is None else max(self.ids.values(), default=0)
        return max(own, self.unknown, *self.around[0], *self.around[1], 0) + 1

    def encode(self, text: str) -> list[int]:
        """Ids of one text as the model reads them; empty for an empty text. A language in front, `>>fr<<`, is one id
        where the table has it."""
        if not text:
            return []
        front, behind = self.around
        code, rest = self._code(text)
        return [*front, *code, *(self._id(piece) for piece in self._source.encode(rest, out_type=str)), *behind]

    def _code(self, text: str) -> tuple[list[int], str]:
        end = text.find("<<") + 2
        if self.ids is None or not text.startswith(">>") or text[:end] not in self.ids:
            return [], text
        return [self.ids[text[:end]]], text[end:]

    def _id(self, piece: str) -> int:
        return int(self._source.piece_to_id(piece)) if self.ids is None else self.ids.get(piece, self.unknown)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids of a text."""
        return self._text(self._source, ids)

    def written(self, ids: Iterable[int]) -> str:
        """Text of ids that the model wrote."""
        return self._text(self._target, ids)

    def _text(self, processor: sentencepiece.SentencePieceProcessor, ids: Iterable[int]) -> str:
        hidden = {*self.around[0], *self.around[1], *(() if self.ids is None else (self.unknown,))}
        shown = [int(id) for id in ids if int(id) not in hidden]
        if self._pieces is not None:
            return str(processor.decode_pieces([self._pieces[id] for id in shown if id in self._pieces]))
        return str(processor.decode([id for id in shown if id < processor.vocab_size()]))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Which characters of `text` each id of `encode` stands for; none for those around it."""
        if not text:
            return []
        code, rest = self._code(text)
        start = len(text) - len(rest)
        spans = piece_spans(self._source.encode(rest, out_type=str), rest)
        pieces = [(start + first, start + end) for first, end in spans]
        front, behind = self.around
        return [*[(0, 0)] * len(front), *[(0, start)] * len(code), *pieces, *[(len(text),) * 2] * len(behind)]

    def save(self, folder: str | Path) -> None:
        folder = Path(folder)
        files.make_folder(folder, "write elsewhere")
        for name, model in ((SOURCE, self._models[0]), (TARGET, self._models[1])):
            if model is not None:
                files.write_bytes(folder / name, model)
        front, behind = self.around
        said = {"ids": self.ids, "front": list(front), "behind": list(behind), "unknown": self.unknown}
        files.write_json(folder / PIECES, said)


PretrainedTokenizer = JsonTokenizer | PieceTokenizer


def load_pretrained(folder: str | Path) -> PretrainedTokenizer:
    """What `save` of one of the two wrote.

    Raises:
        UserError: A file is missing or damaged.
    """
    folder = Path(folder)
    if not (folder / PIECES).is_file():
        return JsonTokenizer(files.read_whole(folder / JSON).decode("utf-8", "replace"), str(folder / JSON))
    said = files.read_json(folder / PIECES)
    target = files.read_whole(folder / TARGET) if (folder / TARGET).is_file() else None
    try:
        around = tuple(map(int, said["front"])), tuple(map(int, said["behind"]))
        source = files.read_whole(folder / SOURCE)
        return PieceTokenizer(source, said["ids"], around, int(said["unknown"]), target)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{folder / PIECES}: no table of pieces ({error}); restore the file") from error


def _processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise UserError("the text tokenizer is not a SentencePiece model; take the original again") from error
    if not model or processor.vocab_size() < 1:
        raise UserError("the text tokenizer is empty; take the original again")
    return processor
