"""The pronouncing lexicon of the voice, from the word lists of the package misaki (Apache-2.0).

    pip install --no-deps misaki==0.9.4
    python recipes/kathleen/lexicon.py --out WORK/lexicon.txt.gz

Only the package's data are read. Its tags are folded into the uses of `spear_accel.text.phonemes.lexicon`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.text.phonemes import Entry, Lexicon

__all__ = ["from_misaki"]

_USES = {"NOUN": "NOUN", "ADJ": "NOUN", "VERB": "VERB", "VBD": "PAST", "VBN": "PAST"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        lexicon = from_misaki()
    except UserError as error:
        sys.exit(f"error: {error}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    lexicon.save(arguments.out)
    print(f"{len(lexicon)} words in {arguments.out}", file=sys.stderr)


def from_misaki() -> Lexicon:
    """Both American word lists; the proofread one ("gold") goes first.

    Raises:
        UserError: The package is not installed.
    """
    found = importlib.util.find_spec("misaki")
    if found is None or not found.submodule_search_locations:
        raise UserError("misaki is not installed; install it with: pip install --no-deps misaki==0.9.4")
    folder = Path(found.submodule_search_locations[0]) / "data"
    entries: dict[str, Entry] = {}
    for name in ("us_silver.json", "us_gold.json"):
        given = json.loads((folder / name).read_text(encoding="utf-8"))
        entries |= {word: entry for word, said in given.items() if (entry := _entry(said)) is not None}
    return Lexicon(entries)


def _entry(said: str | Mapping[str, str | None]) -> Entry | None:
    if isinstance(said, str):
        return Entry(said) if said else None
    usual = said.get("DEFAULT")
    if not usual:
        return None
    uses: dict[str, str] = {}
    for tag, phonemes in said.items():
        if tag in _USES and phonemes and phonemes != usual:
            uses.setdefault(_USES[tag], phonemes)
    return Entry(usual, uses)


if __name__ == "__main__":
    main()
