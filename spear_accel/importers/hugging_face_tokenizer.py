"""Which text tokenizer a folder of Hugging Face transformers holds. Knows file names; no weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError
from spear_accel.importers.base import ImportOptions
from spear_accel.model import TextToSemanticConfig
from spear_accel.storage import files
from spear_accel.text.hugging_face import JSON, JsonTokenizer, PieceTokenizer
from spear_accel.text.raw import IdTokenizer
from spear_accel.text.tokenizers import AnyTokenizer, load_tokenizer

__all__ = ["find_tokenizer"]

_SPIECE = ("spiece.model", "sentencepiece.model", "tokenizer.model")
_MARIAN = ("source.spm", "target.spm", "vocab.json")


def find_tokenizer(
    folder: Path, options: ImportOptions, model: TextToSemanticConfig, config: Mapping[str, Any]
) -> AnyTokenizer:
    """The tokenizer that the options name, else the one beside the weights.

    Args:
        folder: Of the checkpoint.
        options: The user's.
        model: What will read the ids.
        config: `config.json`.

    Raises:
        UserError: There is none that this release runs, or it has more ids than the model reads.
    """
    ids = model.vocab if model.shared_embedding else model.letters
    tokenizer = _named(options.text_tokenizer, ids, config) if options.text_tokenizer else _beside(folder, config)
    if tokenizer.vocab_size > ids:
        where = options.text_tokenizer or folder
        raise UserError(
            f"{where}: the tokenizer makes {tokenizer.vocab_size} ids, the model reads {ids}; pass the one that the "
            "model was trained with by --text-tokenizer FILE"
        )
    return tokenizer


def _named(wanted: str, ids: int, config: Mapping[str, Any]) -> AnyTokenizer:
    if wanted == "ids":
        return IdTokenizer(ids)
    if wanted == "bytes":
        raise UserError("--text-tokenizer bytes: no layout of this kind reads plain bytes; pass a file, or 'ids'")
    path = Path(wanted)
    if path.suffix == ".json":
        return _json(path)
    return load_tokenizer(path) if path.is_dir() else _pieces(path, config)


def _beside(folder: Path, config: Mapping[str, Any]) -> AnyTokenizer:
    if (folder / JSON).is_file():
        return _json(folder / JSON)
    if all((folder / name).is_file() for name in _MARIAN):
        return _marian(folder, config)
    # Other families move the ids of their pieces about, each in its own way.
    found = [folder / name for name in _SPIECE if (folder / name).is_file()]
    if found and config.get("model_type") in ("t5", "mt5"):
        return _pieces(found[0], config)
    raise UserError(
        f"{folder}: holds no text tokenizer that this release reads ({JSON}; {_SPIECE[0]} of T5; {', '.join(_MARIAN)} "
        "of Marian); pass --text-tokenizer FILE, or 'ids' (texts are the numbers that the model reads)"
    )


def _json(path: Path) -> JsonTokenizer:
    return JsonTokenizer(files.read_whole(path).decode("utf-8", "replace"), str(path))


def _pieces(path: Path, config: Mapping[str, Any]) -> PieceTokenizer:
    """SentencePiece whose own ids are the model's, with EOS behind every text."""
    try:
        return PieceTokenizer(files.read_whole(path), None, ((), _eos(config)))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _marian(folder: Path, config: Mapping[str, Any]) -> PieceTokenizer:
    source, target, table = (folder / name for name in _MARIAN)
    ids = files.read_json(table)
    if not all(isinstance(id, int) for id in ids.values()):
        raise UserError(f"{table}: no table from pieces to ids; restore the file")
    unknown = ids.get("<unk>")
    if unknown is None:
        raise UserError(f"{table}: lacks <unk>; restore the file")
    written = files.read_whole(target)
    return PieceTokenizer(files.read_whole(source), ids, ((), _eos(config)), unknown, written)


def _eos(config: Mapping[str, Any]) -> tuple[int, ...]:
    eos = config.get("eos_token_id")
    return (eos,) if isinstance(eos, int) else ()
