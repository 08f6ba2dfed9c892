"""Reading back: where in its text each token of a finished utterance was said, and what was skipped or said twice.

A teacher-forced pass over the final tokens tells it by cross-attention; the pass ends at the first layer that has read
the text from end to end. Every utterance is read alone, so that its neighbours cannot change a decision. Knows ids and
weights, no letters and no sound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.decoding.requests import complete_text
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.model.cross_weights import CrossWeights

__all__ = ["CoverageGuard", "Reading", "follow", "log_probability", "look", "read_back", "summarise"]

_HEADS = 4
"""Most attention heads that are asked: the sharpest."""
_TRUSTED = 0.5
"""Sharpness from which a single layer is believed that all of the text was read."""
_FLOOR = 0.2
"""Sharpness below which attention does not tell where the model reads."""
_STRIDE = 4
"""Most ids of text that one token moves on by; more is a jump."""
_JUMP = 6.0
"""Price of a jump, forward or back, in nats."""
_LEAST = 0.01
"""Weights below are noise and cost the same."""


@dataclass(frozen=True)
class Reading:
    """What a pass over an utterance's tokens saw. Places and lengths count text ids, without those that choose language
    and rate and without start and end."""

    coverage: float | None
    """Share of the text that was read; None where attention is too diffuse to tell."""
    skipped: int = 0
    """Length of the longest stretch that no token looked at, and where it begins."""
    skipped_at: int = 0
    repeated: int = 0
    """Length of the longest stretch that was read again after a jump, and where it begins."""
    repeated_at: int = 0
    sharpness: float = 0.0
    """Of the sharpest head, 0 to 1."""
    log_prob: float | None = None
    """Mean natural logarithm of the tokens' probabilities, EOS included, where anybody asked for it."""


@dataclass(frozen=True)
class CoverageGuard:
    """How much may be skipped or repeated, in text ids; measured in docs/coverage.md."""

    skipped: int = 4
    repeated: int = 6

    def fault(self, reading: Reading, quote: Callable[[int, int], str]) -> str | None:
        """What is wrong with an utterance; None where nothing is, or nothing can be told.

        quote: the text from one place to another.
        """
        if reading.coverage is None:
            return None
        skipped = quote(reading.skipped_at, reading.skipped_at + reading.skipped)
        repeated = quote(reading.repeated_at, reading.repeated_at + reading.repeated)
        if reading.skipped > self.skipped and reading.skipped >= reading.repeated:
            return f"skips {skipped!r}"
        if reading.repeated > self.repeated:
            return f"says {repeated!r} again"
        return f"skips {skipped!r}" if reading.skipped > self.skipped else None


@torch.inference_mode()
def read_back(model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> Reading:
    """Read tokens int64 [T], without EOS, beside their text, ids as `Engine.decode` takes them.

    Layers run from the first until one reads the whole text; where none does, the sharpest heads of all of them tell.
    """
    inputs, encoded, letters = _laid_out(model, text, tokens)
    decoder = model.decoder
    with CrossWeights(model, range(model.config.decoder_layers)) as seen:
        for number, _ in enumerate(decoder.walk(decoder.embed(inputs), model.encode(encoded))):
            reading = look(seen.recorded[-1][0, :, :, letters]) if number else Reading(None)
            if reading.coverage == 1.0 and reading.sharpness >= _TRUSTED and not reading.repeated:
                return reading
    return look(torch.cat(seen.recorded, dim=1)[0, :, :, letters])


@torch.inference_mode()
def log_probability(model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> float:
    """Mean natural logarithm of the model's own probabilities of tokens int64 [T] and the EOS behind them."""
    _, encoded, _ = _laid_out(model, text, tokens)
    said = F.pad(tokens.to(encoded.device), (0, 1), value=model.config.eos_id)
    logs = model(encoded, said[None, :-1])[0].float().log_softmax(dim=-1)
    return float(logs.gather(1, said[:, None]).mean())


def look(weights: Tensor) -> Reading:
    """What the sharpest of some heads saw. weights [heads, T, X]: of T tokens on the X ids of a text."""
    if weights.shape[1] < 2 or weights.shape[2] < 3:
        return Reading(None)
    scores = _sharpness(weights)
    best = scores.topk(min(_HEADS, len(scores)))
    sharpness = float(best.values[0])
    if sharpness < _FLOOR:
        return Reading(None, sharpness=sharpness)
    mean = (weights[best.indices] * (best.values / best.values.sum())[:, None, None]).sum(dim=0)
    return summarise(follow(mean.double().cpu().numpy()), weights.shape[2], sharpness)


def follow(weights: np.ndarray) -> list[int]:
    """The place in the text of each token: the likeliest path through weights [T, X] that mostly moves on.

    A token stays where the last one was or goes up to `_STRIDE` ids further for nothing; every other move is a jump.
    """
    costs = -np.log(np.maximum(weights, _LEAST))
    total = costs[0]
    places, wall = np.arange(len(total)), np.full(_STRIDE, np.inf)
    back = np.empty(weights.shape, dtype=np.int64)
    for time in range(1, len(costs)):
        # Column s holds what it costs to come from s ids before; of equals, the least move.
        steps = np.lib.stride_tricks.sliding_window_view(np.concatenate((wall, total)), _STRIDE + 1)[:, ::-1]
        moved = steps.argmin(axis=1)
        cheapest = int(total.argmin())
        best, jump = steps[places, moved], total[cheapest] + _JUMP
        back[time] = np.where(best <= jump, places - moved, cheapest)
        total = np.minimum(best, jump) + costs[time]
    path = [int(total.argmin())]
    for sources in back[:0:-1]:
        path.append(int(sources[path[-1]]))
    return path[::-1]


def summarise(path: Sequence[int], text: int, sharpness: float = 1.0) -> Reading:
    """What a path through a text of `text` ids left out and came back to."""
    read = np.zeros(text, dtype=bool)
    repeated, repeated_at, first = 0, 0, 0
    for end in range(1, len(path) + 1):
        if end < len(path) and 0 <= path[end] - path[end - 1] <= _STRIDE:
            continue
        stretch = slice(path[first], path[end - 1] + 1)
        again = np.flatnonzero(read[stretch])
        if len(again) > repeated:
            repeated, repeated_at = len(again), stretch.start + int(again[0])
        read[stretch] = True
        first = end
    edges = np.flatnonzero(np.diff(np.concatenate(([True], read, [True]))))
    gaps = [(int(stop - start), -int(start)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    skipped, negative = max(gaps, default=(0, 0))
    return Reading(float(read.mean()), skipped, -negative, repeated, repeated_at, sharpness)


def _sharpness(weights: Tensor) -> Tensor:
    """How well each head tells a place, 0 to 1: [heads].

    The chance that two tokens in a row look at the same id or the second at the next one, above that of heads that look
    anywhere; times the share of the text that the head ever looks at, because one that stares at a comma is steady too.
    """
    text = weights.shape[2]
    now, then = weights[:, :-1], weights[:, 1:]
    steady = ((now * then).sum(dim=-1) + (now[..., :-1] * then[..., 1:]).sum(dim=-1)).mean(dim=-1)
    mean = weights.mean(dim=1)
    breadth = torch.special.entr(mean / mean.sum(dim=-1, keepdim=True)).sum(dim=-1).exp() / text
    return ((steady - 2 / text) / (1 - 2 / text)).clamp_min(0.0) * breadth


def _laid_out(model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> tuple[Tensor, Tensor, slice]:
    """Decoder inputs [1, T + 1], encoder inputs [1, X], and which of the places that are attended to are letters."""
    config = model.config
    ids = complete_text(config, text)
    inputs = F.pad(tokens[None].to(model.device), (1, 0), value=config.start_id)
    return inputs, torch.tensor([ids], device=model.device), _letters(config, ids)


def _letters(config: TextToSemanticConfig, ids: Sequence[int]) -> slice:
    """Ids that choose language and rate are taken out before the text is encoded."""
    chosen = sum(token >= config.letters for token in ids)
    return slice(int(config.text_start_id is not None), len(ids) - chosen - int(config.text_eos_id is not None))
