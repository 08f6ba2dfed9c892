"""Pictures of the voice: spoken sentences beside the real recordings of the same words.

python recipes/kathleen/spectrograms.py --work WORK --output docs/spectrograms.png [--voice VOICE] [--count 3]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from evaluate import one_take

from spear_accel import Voice
from spear_accel.audio.files import read_audio
from spear_accel.storage.json_lines import read_manifest

matplotlib.use("Agg")
from matplotlib import pyplot

RATE = 24_000
HIGHEST_HZ = 8000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    records = one_take(read_manifest(arguments.work / "manifests" / "test.jsonl", ("id", "audio", "text")))
    voice = Voice.load(arguments.voice)
    chosen = records[:: max(1, len(records) // arguments.count)][: arguments.count]
    figure, axes = pyplot.subplots(len(chosen), 2, figsize=(15, 3.4 * len(chosen)), squeeze=False)
    for (left, right), record in zip(axes, chosen, strict=True):
        picture(left, read_audio(record["audio"], RATE).numpy(), f"recording: {record['text']}")
        picture(right, voice.speak(record["text"], seed=0).waveform.numpy(), "spoken by the voice")
    figure.tight_layout()
    figure.savefig(arguments.output, dpi=80)


def picture(axes: Any, samples: np.ndarray, title: str) -> None:
    """Spectrogram, 25 ms windows, 90 dB deep, with the level drawn over it."""
    axes.specgram(samples / max(1e-6, np.abs(samples).max()), NFFT=600, noverlap=480, Fs=RATE, vmin=-150, vmax=-60)
    axes.set(title=title[:70], ylim=(0, HIGHEST_HZ), xlabel="s", ylabel="Hz")


if __name__ == "__main__":
    main()
