"""The shipped voice, from audio to `checkpoints/kathleen`: the recipe `own_voice` with its own data and settings.

    python recipes/kathleen/run.py --corpus KATHLEEN --extra LJSPEECH --sentences FILE --work WORK --output checkpoints

README.md beside this file lists the steps, what they took and what they reached.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "own_voice")]

import own_voice  # noqa: E402
import prepare  # noqa: E402

INPUTS = {
    "extra": "a second voice in LJSpeech layout, for the speech encoder",
    "sentences": "text to speak with espeak-ng, a sentence a line",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the recipe; returns the exit code."""
    return own_voice.main(arguments, prepare.data, HERE, INPUTS)


if __name__ == "__main__":
    sys.exit(main())
