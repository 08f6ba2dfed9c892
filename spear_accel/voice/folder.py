"""A voice folder: what it says of itself, which files it holds, and whether they are whole.

Knows the layout and the checksums; loads the parts through the packages that they belong to. Does not know decoding.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.voice.entry_points import plugged_names, plugged_voice

FORMAT_VERSION = 1
CARD = "voice.json"
TOKENIZER = "tokenizer.model"
RAW_TOKENIZER = "tokenizer.json"
PHONEMES = "phonemes"
PRETRAINED = "text_tokenizer"
TEXT_TO_SEMANTIC = "text_to_semantic"
ACOUSTIC = "acoustic"
SPEECH_TOKENIZER = "speech_tokenizer"
DRAFT_HEADS = "draft_heads"
DECODING = "decoding.json"
README = "README.md"
_POSITIVE = ("frame_rate", "sample_rate", "longest_utterance", "tokens_per_character")
_WHOLE = ("sample_rate", "longest_utterance")
_SHORTEST_UTTERANCE = 8
"""Characters; a longest utterance below this cuts most words in two, so it is a slip of whoever wrote the card."""
_UNKNOWN = ("sample_rate", "tokens_per_character")
# May be edited without breaking the voice.
_UNSEALED = frozenset((CARD, README))


@dataclass(frozen=True)
class VoiceCard:
    """The contents of voice.json."""

    name: str
    language: str
    licence: str
    frame_rate: float
    """Semantic tokens a second, before repeats are collapsed."""
    sample_rate: int | None
    """Of the waveform that the acoustic stage makes, in Hz; None where the voice ends at semantic tokens."""
    collapse_repeats: bool = False
    longest_utterance: int = 220
    """Characters of normalised text that are decoded as one utterance."""
    tokens_per_character: float | None = 3.5
    """Expected semantic tokens per character of normalised text; guards against stopping too soon or never. None where
    it is not known: nothing is too short then, and only very much is too long."""
    front_end: str | None = None
    """Name of the text front end, "english", "verbatim" or one that a package brings; None: that of the language."""
    origin: str | None = None
    """Repository and commit that the voice was downloaded from, "owner/name@commit"."""
    format_version: int = FORMAT_VERSION
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every file by its path inside the folder."""


@dataclass(frozen=True)
class VoiceFolder:
    """An opened voice folder. `card` is read; the files it names are checked as they are asked for."""

    path: Path
    card: VoiceCard

    def has(self, part: str) -> bool:
        """Whether the voice holds `part`: a file, or a folder of files."""
        return any(name == part or name.startswith(f"{part}/") for name in self.card.files)

    def part(self, part: str) -> Path:
        """The path of `part`, once every file of it is there and unaltered.

        Raises UserError naming the file and the fault, or saying that the voice has no such part.
        """
        names = [name for name in self.card.files if name == part or name.startswith(f"{part}/")]
        if not names:
            raise UserError(f"{self.path}: the voice {self.card.name!r} has no {part}")
        for name in names:
            self._check(name)
        return self.path / part

    def verify(self) -> None:
        """Check every file. Raises UserError at the first fault."""
        for name in self.card.files:
            self._check(name)

    def _check(self, name: str) -> None:
        path = self.path / name
        try:
            digest = files.sha256_of(path)
        except UserError as error:
            raise UserError(f"{error} of the voice") from error
        if digest != self.card.files[name]:
            raise UserError(f"{path}: damaged or altered (its SHA-256 is not the one in {CARD}); restore the original")


def open_voice(name: str | Path) -> VoiceFolder:
    """Open a shipped voice by name, one that another package brings, or any voice folder by path.

    A shipped name wins over a plugged one, and that over a folder. Raises UserError: no such voice (those by name are
    listed), its package cannot be imported, or voice.json is missing, damaged or too new.
    """
    if not str(name).strip():
        raise UserError("the name of the voice is empty; give a name or a folder")
    folder = shipped_voices().get(str(name)) or plugged_voice(str(name)) or Path(name).expanduser()
    if not folder.is_dir():
        names = ", ".join(sorted(shipped_voices())) or "none"
        plugged = "".join(f"; of other packages: {', '.join(found)}" for found in [plugged_names()] if found)
        raise UserError(f"{name}: no such voice; shipped voices: {names}{plugged}; or give a folder that holds {CARD}")
    return VoiceFolder(folder, _read_card(folder / CARD))


def list_shipped() -> list[str]:
    """Names of the voices that come with the package, sorted."""
    return sorted(shipped_voices())


def shipped_voices() -> dict[str, Path]:
    """Folders of the shipped voices by name: in the installed package, or in a checkout's `checkpoints/`."""
    package = Path(__file__).resolve().parents[1]
    homes = (package.parent / "checkpoints", package / "voices")
    return {card.parent.name: card.parent for home in homes for card in sorted(home.glob(f"*/{CARD}"))}


def seal(folder: str | Path, card: VoiceCard) -> VoiceFolder:
    """Write voice.json last: `card` with the SHA-256 of every file that `folder` now holds."""
    folder = Path(folder)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".part"))
    names = [path.relative_to(folder).as_posix() for path in found]
    digests = {name: files.sha256_of(folder / name) for name in names if name not in _UNSEALED}
    sealed = replace(card, files=digests)
    files.write_json(folder / CARD, asdict(sealed))
    return VoiceFolder(folder, sealed)


def _read_card(path: Path) -> VoiceCard:
    values = files.read_json(path)
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path}: format_version is {version!r}, this release reads {FORMAT_VERSION}; "
            "take a voice and a spear-accel that belong together"
        )
    known = {entry.name for entry in fields(VoiceCard)}
    needed = {"name", "language", "licence", "frame_rate", "sample_rate", "files"}
    faults = [f"lacks {name}" for name in sorted(needed - set(values))]
    faults += [f"has an unknown {name}" for name in sorted(set(values) - known)]
    if not faults and not _is_sound(values):
        faults = ["holds a value of the wrong kind"]
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}; restore the original")
    return VoiceCard(**values)


def _is_sound(values: dict[str, Any]) -> bool:
    digests = values["files"]
    rates = [values.get(name, 1) for name in _POSITIVE]
    rates = [rate for name, rate in zip(_POSITIVE, rates, strict=True) if rate is not None or name not in _UNKNOWN]
    return (
        isinstance(digests, dict)
        and all(isinstance(digest, str) and _stays_inside(name) for name, digest in digests.items())
        and all(isinstance(values[name], str) for name in ("name", "language", "licence"))
        and isinstance(values.get("front_end"), (str, NoneType))
        and all(isinstance(rate, (int, float)) and 0 < rate < math.inf for rate in rates)
        and all(isinstance(values.get(name), (int, NoneType)) for name in _WHOLE)
        and (values.get("longest_utterance") or _SHORTEST_UTTERANCE) >= _SHORTEST_UTTERANCE
    )


def _stays_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts
