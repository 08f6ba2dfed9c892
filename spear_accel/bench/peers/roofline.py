"""What this machine would allow an autoregressive step at most (roofline, Williams et al. 2009).

A step reads every weight of the decoder once and every row's keys and values, and multiplies each weight with every
row's token. Both limits are measured here and now: how fast so many bytes can be read again and again, in whatever
cache holds them, and how fast PyTorch multiplies large matrices in float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from spear_accel.model import TextToSemantic

__all__ = ["tokens_per_second"]

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
_SECONDS = 0.2
"""That each limit is measured for."""


def tokens_per_second(model: TextToSemantic, precision: str, rows: int, letters: int, count: int) -> float:
    """The bound on decoding `rows` texts of `letters` at once, `count` tokens each, in the middle of them."""
    config, decoder = model.config, model.decoder
    maps: int = sum(part.weight.numel() for part in decoder.modules() if isinstance(part, nn.Linear))
    # Projections of the text are not part of a step; a tied embedding is read as the output.
    groups = config.cross_kv_heads or config.kv_heads
    maps -= config.decoder_layers * 2 * groups * config.head_dim * config.dim
    maps += config.vocab * config.dim if config.tied_output else 0
    own, text = count / 2 * config.kv_heads, letters * groups
    held = rows * 2 * config.decoder_layers * config.head_dim * (own + text)
    backend = decoder.backend
    cached = own * backend.cache_dtype.itemsize + text * backend.text_cache_dtype.itemsize
    read = maps * _BYTES[precision] + held * cached / (own + text)
    queries = config.heads / config.kv_heads
    seconds = max(read / _bandwidth(int(read)), 2 * (maps * rows + held * queries) / _peak())
    return rows / seconds


def _bandwidth(size: int) -> float:
    """Bytes a second of reading so many, again and again."""
    numbers = torch.ones(size // 4)
    return size / _best(lambda: numbers.sum())


def _peak() -> float:
    """Operations a second in float32."""
    a = torch.randn(768, 768)
    return 2 * 768**3 / _best(lambda: a @ a)


def _best(work: Callable[[], object]) -> float:
    best, until = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best
