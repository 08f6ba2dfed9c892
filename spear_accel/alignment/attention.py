"""Reading back: did an utterance say its text? The model itself is asked, by where its cross-attention looks.

One teacher-forced pass over the final tokens of one utterance at a time, so that the answer does not depend on a batch.
Knows nothing about how the tokens were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.alignment.viterbi import TextPath, best_path, follow
from spear_accel.decoding.request import complete_text
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig

__all__ = ["CoverageGuard", "Reading", "look_back", "read_back", "sharpness"]

_HEADS = 4
"""Of a layer, whose weights are averaged: the sharpest."""
_STEP = 16
"""Lengths of the pass are multiples of this."""
_SHARP = 0.4
"""From this sharpness on a layer is trusted, and those behind it are not asked."""


@dataclass(frozen=True)
class Reading:
    """What the model says about an utterance. Places and lengths are in ids of the text, counted from 0."""

    path: TextPath
    sharpness: float
    """Of the attention that the path is read from, 0 (tells nothing) to 1."""
    log_prob: float | None = None
    """Mean natural logarithm of the tokens' probabilities at temperature 1, EOS included; None from `look_back`."""

    @property
    def coverage(self) -> float:
        """Share of the text's ids that were read, 0 to 1."""
        return self.path.coverage


@dataclass(frozen=True)
class CoverageGuard:
    """Bounds on what may be skipped or repeated; docs/coverage.md says how they were chosen."""

    skipped: int = 4
    """Most ids in a stretch that nothing looked at."""
    repeated: int = 4
    """Most ids in a stretch that is read twice."""
    sharpness: float = 0.25
    """Below it the guard says nothing: the attention of such a model does not show where it reads."""

    def fault(self, reading: Reading) -> str | None:
        """What is wrong, and where; None where nothing is, or nothing can be told."""
        path = reading.path
        if reading.sharpness < self.sharpness:
            return None
        if path.skipped > self.skipped and path.skipped >= path.repeated:
            return f"skips {path.skipped} letters of the text near letter {path.skipped_at + 1}"
        if path.repeated > self.repeated:
            return f"reads {path.repeated} letters of the text twice near letter {path.repeated_at + 1}"
        return None


@torch.inference_mode()
def read_back(model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> Reading:
    """Reading of one utterance, with its probability: one whole pass of the model, which is in evaluation mode.

    text: ids without the model's own start and end; tokens: int64 [n], without EOS. Raises UserError where there is no
    text.
    """
    walk = _Walk(model, text, tokens)
    weights, sharp = walk.look()
    return Reading(_path_of(weights), sharp, walk.log_prob())


@torch.inference_mode()
def look_back(model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> Reading:
    """`read_back` without the probability: it runs only the first layers, up to one that reads sharply."""
    weights, sharp = _Walk(model, text, tokens).look()
    return Reading(_path_of(weights), sharp)


def sharpness(weights: Tensor) -> Tensor:
    """How clearly each head reads on from letter to letter: [H], 0 to 1, from weights [H, T, X].

    The chance that two tokens in a row look at one id, or the second at the next, beyond what evenly spread attention
    gives. Less where a head hardly moves: one that rests on a mark tells nothing.
    """
    width = weights.shape[-1]
    if width < 3 or weights.shape[1] < 2:
        return weights.new_zeros(weights.shape[0])
    here, there = weights[:, :-1], weights[:, 1:]
    onwards = (here * there).sum(dim=-1) + (here[..., :-1] * there[..., 1:]).sum(dim=-1)
    chance = 2 / width
    share = weights.mean(dim=1)
    share = share / share.sum(dim=-1, keepdim=True).clamp_min(1e-9)
    breadth: Tensor = torch.special.entr(share).sum(dim=-1).exp() / width
    # Half a text read and the other half not is a fault to be found, and no lack of sharpness.
    return ((onwards.mean(dim=-1) - chance) / (1 - chance)).clamp_min(0.0) * (2 * breadth).clamp_max(1.0)


class _Walk:
    """A pass over a whole utterance, layer by layer, that stops where it has seen enough and can go on."""

    def __init__(self, model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> None:
        config, device = model.config, model.device
        ids = complete_text(config, text)
        self.decoder = model.decoder
        self.letters = _letters(config, ids)
        self.said = F.pad(tokens.to(device), (0, 1), value=config.eos_id)
        length = len(self.said)
        # What stands behind the end is seen by nobody; it keeps the number of different shapes small, for each of
        # which kernels and memory are kept.
        spare = min(-length % _STEP, max(0, config.max_positions - length))
        # The ids that enter the next layer, then the hidden states that left the last.
        self.x = F.pad(self.said[:-1], (1, spare), value=config.start_id)[None]
        self.state = model.start(model.pad_text([ids]), self.x.shape[1])
        self.layers = iter(range(config.decoder_layers))

    def look(self) -> tuple[Tensor, float]:
        """Attention [T, X] over the letters by the sharpest heads of the first layer that is sharp, or of the sharpest
        layer where none is; and its sharpness."""
        found, best = torch.zeros(len(self.said), self.letters.stop - self.letters.start), -1.0
        for weights in self._steps():
            sharp = sharpness(weights)
            sharpest = sharp.topk(min(_HEADS, len(sharp)))
            mean = float(sharpest.values.mean())
            if mean > best:
                found, best = weights[sharpest.indices].mean(dim=0), mean
            if best >= _SHARP:
                break
        return found, best

    def log_prob(self) -> float:
        """Mean over the tokens and EOS. Runs the layers that are left."""
        for _ in self._steps():
            pass
        chances = self.decoder.logits(self.x)[0, : len(self.said)].float().log_softmax(dim=-1)
        return float(chances.gather(1, self.said[:, None]).mean())

    def _steps(self) -> Iterator[Tensor]:
        """Run the layers that are left, one at a time; yields of each what the tokens attend to among the letters,
        [H, T, X]. What rests on the text's start and end, or on pads, is missing."""
        for number in self.layers:
            weights: list[Tensor] = []
            self.x = self.decoder.forward(self.x, self.state, slice(number, number + 1), collect=weights)
            yield weights[0][0, :, : len(self.said), self.letters]


def _letters(config: TextToSemanticConfig, ids: Sequence[int]) -> slice:
    """Where the encoded ids are text: neither start nor end; what chooses language and rate is not encoded."""
    encoded = sum(token < config.letters for token in ids)
    letters = slice(int(config.text_start_id is not None), encoded - int(config.text_eos_id is not None))
    if letters.stop <= letters.start:
        raise UserError("there is no text to read back")
    return letters


def _path_of(weights: Tensor) -> TextPath:
    """weights: [T, X]."""
    return follow(best_path(weights.float().cpu().numpy()), weights.shape[1])
