"""How exact word times are: the starts of words against a forced aligner's (pocketsphinx), as the voice speaks.

    PYTHONPATH=recipes/experiments python recipes/experiments/word_times.py --text LINES.txt [--count 100] [--seed 0]

The aligner is given the same sound and the words as they are read. Words that its dictionary lacks are left out, each
with its sentence; the rest are compared one by one. Prints a table for docs/timestamps.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchaudio.functional as F

from spear_accel import Speech, Voice
from spear_accel.errors import UserError

RATE, FRAMES_A_SECOND = 16_000, 100


@dataclass(frozen=True)
class Differences:
    """Ours less the aligner's, in seconds, a word each."""

    starts: np.ndarray
    ends: np.ndarray


def aligned(decoder: object, samples: np.ndarray, words: Sequence[str]) -> list[tuple[float, float]] | None:
    """Start and end of each word in 16 kHz samples, or None where the aligner does not find its way."""
    from pocketsphinx import Decoder

    assert isinstance(decoder, Decoder)
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(bytes((samples * 32767).astype("<i2").data), full_utt=True)
    decoder.end_utt()
    found = [
        (piece.start_frame / FRAMES_A_SECOND, (piece.end_frame + 1) / FRAMES_A_SECOND)
        for piece in decoder.seg() or ()
        if piece.word[0] not in "<["
    ]
    return found if len(found) == len(words) else None


def compare(voice: Voice, lines: Sequence[str], seed: int) -> tuple[Differences, int]:
    """Speaks each line and aligns it; returns the differences and how many lines could be compared."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE)
    starts: list[float] = []
    ends: list[float] = []
    used = 0
    for line in lines:
        [planned, *more] = voice.plan(line)
        spoken = [word.text.lower() for word in planned.words]
        written = {(word.start, word.end) for word in planned.words}
        if more or len(written) != len(spoken) or not all(decoder.lookup_word(word) for word in spoken):
            continue
        speech: Speech = voice.speak(line, seed=seed, words=True)
        samples = F.resample(speech.waveform, speech.sample_rate, RATE).clamp(-1, 1).numpy()
        found = aligned(decoder, samples, spoken)
        if found is None or any(word.whole for word in speech.words):
            continue
        used += 1
        starts += [word.start - start for word, (start, _) in zip(speech.words, found, strict=True)]
        ends += [word.end - end for word, (_, end) in zip(speech.words, found, strict=True)]
    if not used:
        raise UserError("no line could be compared; give sentences of plain words")
    return Differences(np.array(starts), np.array(ends)), used


def table(differences: Differences, lines: int) -> str:
    rows = ["| | words | median | 90 % within | 95 % within | bias |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, values in (("start", differences.starts), ("end", differences.ends)):
        errors = np.abs(values)
        at = [f"{1000 * value:.0f} ms" for value in (*np.quantile(errors, [0.5, 0.9, 0.95]), np.median(values))]
        rows.append(f"| {name}s of {lines} sentences | {len(values)} | {' | '.join(at)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--text", type=Path, required=True, help="sentences, one a line")
    parser.add_argument("--count", type=int, default=100, help="lines to speak")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [line for line in arguments.text.read_text(encoding="utf-8").splitlines() if line.strip()]
    print(table(*compare(Voice.load(arguments.voice), lines[: arguments.count], arguments.seed)))


if __name__ == "__main__":
    main()
