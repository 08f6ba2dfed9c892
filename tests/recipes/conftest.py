"""Scripts of a recipe as modules, and a toy corpus: a tone for every letter, a language that a toy voice can learn."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

RECIPES = Path(__file__).parents[2] / "recipes"
PITCH = {letter: 150.0 + 110.0 * index for index, letter in enumerate("abcdefgh")}


def script(name: str) -> ModuleType:
    """A script of `kathleen` or of `own_voice`, which `kathleen` configures."""
    folders = [str(RECIPES / "kathleen"), str(RECIPES / "own_voice")]
    sys.path[:0] = folders
    try:
        return __import__(name)
    finally:
        for folder in folders:
            sys.path.remove(folder)


def speak_tones(text: str, path: Path, **_: object) -> None:
    """Write a recording of a text."""
    time = np.arange(2400) / 24_000
    tones = [np.sin(2 * np.pi * PITCH[c] * time) * np.hanning(2400) for c in text.lower() if c in PITCH]
    sound = np.concatenate([np.zeros(1200), *tones, np.zeros(1200)])
    soundfile.write(path, 0.3 * sound + 0.001 * np.random.default_rng(0).standard_normal(len(sound)), 24_000)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """24 recordings of 24 texts; two follow each other under the same first twelve characters."""
    generator = np.random.default_rng(0)
    (tmp_path / "corpus" / "wavs").mkdir(parents=True)
    lines = []
    for number in range(24):
        text = "".join(generator.choice(list(PITCH), size=8))
        identity = f"prompt_{number // 2:05d}_{number}"
        speak_tones(text, tmp_path / "corpus" / "wavs" / f"{identity}.wav")
        lines.append(f"{identity}|{text}|{text}\n")
    (tmp_path / "corpus" / "metadata.csv").write_text("".join(lines))
    return tmp_path / "corpus"
