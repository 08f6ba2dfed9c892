"""Outside recognisers by name: what each hears in an utterance at 16 kHz.

``moonshine`` (tiny-en of the package) is the one to choose checkpoints and settings by, ``whisper`` (faster-whisper,
any of its models) the one to report; ``pocketsphinx`` needs no weights besides its package and hears far less. Knows
packages and samples. Does not know texts or error rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import torch
from listening import RATE, levelled

from spear_accel.audio.files import resample
from spear_accel.errors import UserError

__all__ = ["RECOGNISERS", "Recogniser", "heard", "load"]

_MARGIN = RATE // 2
"""Samples of quiet put on either side, where a recogniser cuts off what begins at once."""


class Recogniser(Protocol):
    """Hears an utterance."""

    def __call__(self, samples: np.ndarray) -> str:
        """The words in float32 samples [n] at 16 kHz."""


def load(name: str, model: str | None = None) -> Recogniser:
    """A recogniser by its name.

    Args:
        name: A key of `RECOGNISERS`.
        model: Folder or name of its model; its usual one when left out.

    Raises:
        UserError: No such recogniser, or its package is not installed.
    """
    if name not in RECOGNISERS:
        raise UserError(f"no recogniser {name!r}; choose one of {', '.join(RECOGNISERS)}")
    requirement, build = RECOGNISERS[name]
    try:
        return build(model)
    except ImportError as error:
        raise UserError(f"{name} is not installed ({error}); install it with: pip install {requirement}") from error


def heard(sounds: Iterable[tuple[np.ndarray, int]], name: str = "pocketsphinx", model: str | None = None) -> list[str]:
    """What a recogniser, see `load`, heard in each ``(float32 samples [n], sample rate)``."""
    recognise = load(name, model)
    at_rate = (resample(torch.from_numpy(np.asarray(samples)), rate, RATE).numpy() for samples, rate in sounds)
    return [recognise(levelled(samples)) for samples in at_rate]


def _whisper(model: str | None) -> Recogniser:
    from faster_whisper import WhisperModel

    try:
        whisper = WhisperModel(model or "base.en", device="cpu", compute_type="int8", cpu_threads=1)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"whisper: no model {model or 'base.en'!r} ({error}); give a model's folder with --model"
        ) from error

    def recognise(samples: np.ndarray) -> str:
        segments, _ = whisper.transcribe(
            samples, language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False,
            without_timestamps=True,
        )  # fmt: skip
        return "".join(segment.text for segment in segments).strip()

    return recognise


def _moonshine(model: str | None) -> Recogniser:
    from moonshine_voice import ModelArch, Transcriber
    from moonshine_voice.utils import get_model_path

    moonshine = Transcriber(str(model or get_model_path("tiny-en")), ModelArch.TINY)

    def recognise(samples: np.ndarray) -> str:
        found = moonshine.transcribe_without_streaming(np.pad(samples, _MARGIN).tolist(), RATE)
        return " ".join(line.text.strip() for line in found.lines)

    return recognise


def _pocketsphinx(model: str | None) -> Recogniser:
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE, loglevel="FATAL", **({"hmm": model} if model else {}))

    def recognise(samples: np.ndarray) -> str:
        # It adapts to the level of what it hears first, and digital silence has none.
        noise = 1e-4 * np.random.default_rng(0).standard_normal(len(samples) + 2 * _MARGIN)
        pcm = (np.clip(np.pad(samples, _MARGIN) + noise, -1, 1) * 32767).astype("<i2").tobytes()
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return str(hypothesis.hypstr) if hypothesis else ""

    return recognise


RECOGNISERS: dict[str, tuple[str, Callable[[str | None], Recogniser]]] = {
    "moonshine": ("moonshine-voice==0.0.49", _moonshine),
    "whisper": ("faster-whisper", _whisper),
    "pocketsphinx": ("pocketsphinx", _pocketsphinx),
}
"""What to install, and how to load it."""
