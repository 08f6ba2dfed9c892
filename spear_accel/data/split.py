"""Which recordings training never sees: chosen once by prompt, kept in a JSON file.

Takes of one sentence must stay on one side of a split, or the same sentence leaks across.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from spear_accel.data.corpus import CorpusEntry, prompt_of
from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["Part", "Split", "choose_split", "read_split", "split_entries"]

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Split:
    """Ids of the recordings that are held out."""

    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    exact: bool = False
    """Whether the entries are whole ids; if not, they are prefixes of ids."""

    def part_of(self, identity: str) -> Part:
        """The part that a recording belongs to."""
        if self._holds(self.test, identity):
            return "test"
        return "validation" if self._holds(self.validation, identity) else "train"

    def save(self, path: Path | str) -> None:
        files.write_json(path, asdict(self))

    def _holds(self, names: tuple[str, ...], identity: str) -> bool:
        return identity in names if self.exact else identity.startswith(names)


def read_split(path: Path | str) -> Split:
    """The split in a JSON file `{"test": [...], "validation": [...], "exact": true}`; each key may be missing.

    Raises:
        UserError: The file is missing or holds something else.
    """
    if not Path(path).exists():
        raise UserError(f"{path}: no such file; write the ids of the held-out recordings there first")
    held = files.read_json(path)
    names = [held.get(part, []) for part in ("test", "validation")]
    if not all(isinstance(ids, list) and all(isinstance(name, str) for name in ids) for ids in names):
        raise UserError(f"{path}: test and validation must be lists of ids")
    return Split(tuple(names[0]), tuple(names[1]), bool(held.get("exact", False)))


def choose_split(
    entries: Sequence[CorpusEntry], *, test: int, validation: int, seed: int, prompt_characters: int | None = None
) -> Split:
    """Choose at random the prompts to hold out, with all recordings of them.

    Args:
        entries: The corpus.
        test: Prompts held out for the final evaluation.
        validation: Prompts held out to watch training.
        seed: Another seed holds out others.
        prompt_characters: Characters at the start of an id that name its prompt; None: recordings of the same text
            are of one prompt.

    Raises:
        UserError: Nothing would be left for training.
    """
    prompts: dict[str, list[str]] = {}
    for entry in entries:
        prompt = entry.text.casefold() if prompt_characters is None else prompt_of(entry.id, prompt_characters)
        prompts.setdefault(prompt, []).append(entry.id)
    if test + validation >= len(prompts):
        raise UserError(
            f"{len(prompts)} different sentences cannot give {test} for test and {validation} for validation; "
            "hold out fewer (split, in the settings) or add recordings"
        )
    shuffled = sorted(prompts)
    random.Random(seed).shuffle(shuffled)
    ids = [sorted(name for prompt in chosen for name in prompts[prompt])
           for chosen in (shuffled[:test], shuffled[test : test + validation])]  # fmt: skip
    return Split(tuple(ids[0]), tuple(ids[1]), exact=True)


def split_entries(entries: Iterable[CorpusEntry], split: Split) -> dict[Part, list[CorpusEntry]]:
    """The entries of each part, in their order."""
    parts: dict[Part, list[CorpusEntry]] = {"train": [], "validation": [], "test": []}
    for entry in entries:
        parts[split.part_of(entry.id)].append(entry)
    return parts
