"""A checkpoint of another package -> a fast voice -> proof that it says the same.

    python recipes/import_and_accelerate/import_and_accelerate.py LAYOUT CHECKPOINT --text LINES.txt --output VOICE \
        [--minutes M] [options of `spear-accel import`]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from spear_accel import Voice
from spear_accel.cli.main import run as command
from spear_accel.errors import UserError

_COMPARED = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layout", choices=("spear-tts-pytorch", "whisperspeech"))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--text", type=Path, required=True, help="sentences, one a line")
    parser.add_argument("--output", type=Path, required=True, help="voice folder to make")
    parser.add_argument("--minutes", type=float, default=50.0)
    arguments, importing = parser.parse_known_args()
    started = time.monotonic()
    try:
        whole(arguments.layout, arguments.checkpoint, arguments.text, arguments.output, arguments.minutes, importing)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"{(time.monotonic() - started) / 60:.1f} minutes in all")


def whole(
    layout: str, checkpoint: Path, text: Path, output: Path, minutes: float, importing: list[str], *more: str
) -> None:
    """Import (unless that is done), accelerate, compare. Raises UserError where a step refuses."""
    if not (output / "voice.json").exists():
        do("import", layout, str(checkpoint), "-o", str(output), *importing)
    do("accelerate", str(output), "--text", str(text), "--minutes", str(minutes), *more)
    compare(output, text)


def do(*arguments: str) -> None:
    """One command line; it has said what is wrong where it fails."""
    code = command(arguments)
    if code:
        raise SystemExit(code)


def compare(folder: Path, text: Path) -> None:
    """The same lines with and without speculation, one at a time."""
    voice = Voice.load(folder)
    lines = [line for line in text.read_text(encoding="utf-8").splitlines() if line.strip()][:_COMPARED]
    fast = replace(voice.defaults, batch_size=1, method="auto")
    slow = replace(fast, method="autoregressive")
    results = {}
    for name, options in (("autoregressive", slow), ("auto", fast)):
        voice.text_to_semantic(lines[:2], options)
        results[name] = voice.text_to_semantic(lines, options)
    same = all(map(torch.equal, results["auto"].tokens, results["autoregressive"].tokens))
    ratio = results["autoregressive"].stats.wall_seconds / results["auto"].stats.wall_seconds
    print(f"{len(lines)} lines: {'the same tokens' if same else 'NOT the same tokens'}, {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
