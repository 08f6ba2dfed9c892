"""What verbs read: text from a file or standard input, lists, numbers, and a voice. Knows no verb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.text.respelling import Respellings
    from spear_accel.voice.voice import Voice

_KINDS = {".txt": "txt", ".csv": "csv", ".jsonl": "jsonl"}


def read_text(source: str) -> str:
    """The whole of a UTF-8 file, of standard input for '-'. Raises UserError: cannot be read, or other than UTF-8."""
    name = "standard input" if source == "-" else source
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UserError(f"{name}: cannot read ({error.strerror})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 text (byte {error.start + 1}); convert it with iconv") from error


def read_lines_file(source: str) -> tuple[bytes, str, str]:
    """Bytes, kind (txt, csv or jsonl) and name of a file of lines, or of standard input for '-', which is txt.

    Raises UserError: it cannot be read, or its name does not tell its kind.
    """
    if source == "-":
        return sys.stdin.buffer.read(), "txt", "standard input"
    if not Path(source).exists():
        raise UserError(f"{source}: no such file")
    kind = _KINDS.get(Path(source).suffix.lower())
    if kind is None:
        raise UserError(f"{source}: the name must end in {', '.join(_KINDS)}, which tells what it holds")
    try:
        return Path(source).read_bytes(), kind, source
    except OSError as error:
        raise UserError(f"{source}: cannot read ({error.strerror})") from error


def read_respellings(path: Path | None) -> Respellings | None:
    """The entries of a --lexicon file. Raises UserError: it cannot be read, or a line of it is no entry."""
    if path is None:
        return None
    from spear_accel.text.respelling import Respellings

    return Respellings.load(path)


def load_voice(voice: str, device: str, dtype: str = "auto", draft_model: str | None = None) -> Voice:
    """A voice by name or folder, with a smaller one that drafts for it if given; imports torch.

    Raises UserError where there is no such voice, device or precision.
    """
    from spear_accel.voice.voice import Voice

    return Voice.load(voice, device=device, dtype=dtype, draft_model=draft_model)


def items(option: str, value: str) -> list[str]:
    """Parts of a comma-separated list, each once."""
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise UserError(f"{option} {value!r}: give one or more values with commas between them")
    return list(dict.fromkeys(parts))


def whole(option: str, item: str, least: int) -> int:
    """A whole number of at least `least`."""
    if not item.isascii() or not item.isdigit() or int(item) < least:
        raise UserError(f"{option}: {item!r} is not a whole number of at least {least}")
    return int(item)
