"""An outside judge: pocketsphinx's own English model, and the character error rate of what it heard.

Needs the extra ``eval``. The model comes inside the pocketsphinx package; nothing is downloaded.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from spear_accel.audio.files import resample
from spear_accel.text.normalise import normalise

__all__ = ["character_error_rate", "heard", "word_error_rate"]

_RATE = 16_000
_LEVEL = 0.07
"""RMS that every utterance is brought to, so that loudness plays no part in the comparison."""


def heard(utterances: Iterable[tuple[np.ndarray, int]], processes: int = 1) -> list[str]:
    """What the recogniser heard in each ``(waveform [samples], sample rate)``."""
    if processes <= 1:
        return [_recognise(item) for item in utterances]
    # A fork of a process whose threads wait for each other would wait for ever.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_recognise, utterances, chunksize=4))


def character_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Edits over reference characters, both sides normalised, lower case and without punctuation."""
    import jiwer

    return float(jiwer.cer([_plain(text) for text in references], [_plain(text) for text in hypotheses]))


def word_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """The same for words."""
    import jiwer

    return float(jiwer.wer([_plain(text) for text in references], [_plain(text) for text in hypotheses]))


def _plain(text: str) -> str:
    letters = re.sub(r"[^a-z' ]+", " ", str(getattr(normalise(text), "text", normalise(text))).lower())
    return " ".join(letters.split())


def _recognise(utterance: tuple[np.ndarray, int]) -> str:
    waveform, rate = utterance
    samples = resample(torch.from_numpy(np.asarray(waveform, dtype=np.float32)), rate, _RATE).numpy()
    samples = samples * (_LEVEL / max(1e-6, float(np.sqrt(np.mean(samples**2)))))
    # Half a second of quiet on either side: the recogniser adapts to the level of what it hears first.
    padded = np.pad(samples, _RATE // 2) + 1e-4 * np.random.default_rng(0).standard_normal(len(samples) + _RATE)
    pcm = (np.clip(padded, -1, 1) * 32767).astype("<i2").tobytes()
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


@lru_cache(maxsize=1)
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=_RATE, loglevel="FATAL")
