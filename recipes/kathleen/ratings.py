"""Outside judges of sound: quality by DNSMOS and DistillMOS, and an embedding of the speaker.

Knows packages and samples at 16 kHz. Does not know texts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from spear_accel.errors import UserError

__all__ = ["RATERS", "Rater", "load"]

_RATE = 16_000


class Rater(Protocol):
    """Rates an utterance."""

    def __call__(self, samples: np.ndarray) -> float | list[float]:
        """A score, or an embedding, of float32 samples [n] at 16 kHz."""


def load(name: str) -> Rater:
    """A rater by its name.

    Raises:
        UserError: No such rater, or its package is not installed.
    """
    if name not in RATERS:
        raise UserError(f"no rater {name!r}; choose one of {', '.join(RATERS)}")
    requirement, build = RATERS[name]
    try:
        return build()
    except ImportError as error:
        raise UserError(f"{name} is not installed ({error}); install it with: pip install {requirement}") from error


def _dnsmos() -> Rater:
    """Overall quality by DNSMOS P.835 (Reddy et al. 2022)."""
    import onnxruntime
    from speechmos import dnsmos

    models = Path(dnsmos.__file__).parent / "dnsmos_models"
    model = dnsmos.DNSMOS(str(models / "sig_bak_ovr.onnx"), str(models / "model_v8.onnx"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # The package's own sessions take every core and spin, which on a shared machine is slower by a factor of ten.
    model.onnx_sess = onnxruntime.InferenceSession(str(models / "sig_bak_ovr.onnx"), options)
    model.p808_onnx_sess = onnxruntime.InferenceSession(str(models / "model_v8.onnx"), options)

    def rate(samples: np.ndarray) -> float:
        return float(model(np.clip(samples, -1, 1), _RATE, False)["ovrl_mos"])

    return rate


def _distillmos() -> Rater:
    """Naturalness by DistillMOS (Stahl and Gamper 2025)."""
    import torch
    from distillmos import ConvTransformerSQAModel

    model = ConvTransformerSQAModel().eval()

    def rate(samples: np.ndarray) -> float:
        with torch.inference_mode():
            return float(model(torch.from_numpy(samples)[None])[0])

    return rate


def _speaker() -> Rater:
    """Resemblyzer's embedding of the speaker [256]; likeness is the cosine of two."""
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)

    def rate(samples: np.ndarray) -> list[float]:
        return [float(x) for x in encoder.embed_utterance(preprocess_wav(samples, source_sr=_RATE))]

    return rate


RATERS: dict[str, tuple[str, Callable[[], Rater]]] = {
    "dnsmos": ("speechmos", _dnsmos),
    "distillmos": ("distillmos", _distillmos),
    "speaker": ("Resemblyzer", _speaker),
}
"""What to install, and how to load it."""
