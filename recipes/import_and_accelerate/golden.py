"""Every golden checkpoint of other packages through `import_and_accelerate.py`, in a few steps each.

    python recipes/import_and_accelerate/golden.py GOLDEN --output WORK [--steps 20]

Texts are random ids or, for WhisperSpeech, a few words. Random models hardly repeat themselves: no speed is won here.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from import_and_accelerate import whole

WORDS = "a small boat lay on the beach and nobody came for it until the snow fell".split()
_LINES = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for layout, pattern in (("spear-tts-pytorch", "*.pt"), ("whisperspeech", "*.model")):
        for checkpoint in sorted((arguments.golden / layout.replace("-", "_")).glob(pattern)):
            print(f"== {layout}, {checkpoint.stem}")
            text = arguments.output / f"{checkpoint.stem}.txt"
            text.write_text("\n".join(lines(layout, checkpoint)) + "\n", encoding="utf-8")
            importing = ["--text-tokenizer", "ids"] if layout == "spear-tts-pytorch" else []
            whole(
                layout, checkpoint, text, arguments.output / checkpoint.stem, 1.0, importing,
                "--steps", str(arguments.steps), "--utterances", "64", "--batch-sizes", "1,4",
            )  # fmt: skip


def lines(layout: str, checkpoint: Path) -> list[str]:
    """Texts that the model can read."""
    generator = random.Random(0)
    if layout == "whisperspeech":
        return [" ".join(generator.sample(WORDS, 2))[:14] for _ in range(_LINES)]
    ids = json.loads(checkpoint.with_suffix(".json").read_text())["constructor"]["num_text_token_ids"]
    drawn = [[generator.randrange(1, ids) for _ in range(generator.randint(4, 10))] for _ in range(_LINES)]
    return [" ".join(map(str, one)) for one in drawn]


if __name__ == "__main__":
    main()
