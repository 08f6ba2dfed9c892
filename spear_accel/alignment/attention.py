"""Did an utterance say its text? Aligns tokens to letters by the model's own cross-attention.

One teacher-forced pass over the final tokens of one utterance at a time, so that the answer does not depend on a batch.
Knows nothing about how the tokens were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.alignment.coverage import Alignment, measure_coverage
from spear_accel.alignment.viterbi import best_path
from spear_accel.decoding.request import complete_text
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig

__all__ = ["AlignmentScore", "CoverageGuard", "align", "attention_peakiness", "score"]

_HEADS = 4
"""Heads of a layer whose weights are averaged: the peakiest."""
_LENGTH_STEP = 16
"""The pass is padded to a multiple of this."""
_PEAKY_LAYER = 0.4
"""A layer of this peakiness is trusted, and the layers behind it are not run."""


@dataclass(frozen=True)
class AlignmentScore:
    """How well the tokens of one utterance say its text, by the model that made them."""

    alignment: Alignment
    peakiness: float
    """Of the attention behind the alignment: 0 (no head follows the text) to 1 (see `attention_peakiness`)."""
    log_prob: float | None = None
    """Mean natural logarithm of the tokens' probabilities at temperature 1, EOS included; None from `align`."""

    @property
    def coverage(self) -> float:
        """Share of the letters that were read, 0 to 1."""
        return self.alignment.coverage


@dataclass(frozen=True)
class CoverageGuard:
    """Bounds on skipped and repeated text; docs/coverage.md says how they were chosen."""

    skipped: int = 4
    """Most letters in a skipped stretch."""
    repeated: int = 4
    """Most letters in a stretch that is read twice."""
    peakiness: float = 0.25
    """With less the guard abstains: such attention does not show where the model reads."""

    def fault(self, score: AlignmentScore) -> str | None:
        """Says what is wrong and where; None if nothing is wrong, or if the attention does not show it."""
        alignment = score.alignment
        if score.peakiness < self.peakiness:
            return None
        if alignment.skipped > self.skipped and alignment.skipped >= alignment.repeated:
            return f"skips {alignment.skipped} letters of the text near letter {alignment.skipped_at + 1}"
        if alignment.repeated > self.repeated:
            return f"reads {alignment.repeated} letters of the text twice near letter {alignment.repeated_at + 1}"
        return None


@torch.inference_mode()
def align(model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> AlignmentScore:
    """Aligns the tokens of one utterance to its text. Runs the first layers only, up to a peaky one.

    Args:
        model: The model that made the tokens, in evaluation mode.
        text: Text ids without the model's own start and end.
        tokens: int64 [n], without EOS.

    Raises:
        UserError: There is no text.
    """
    weights, peakiness = _TeacherForcedPass(model, text, tokens).peaky_attention()
    return AlignmentScore(_alignment(weights), peakiness)


@torch.inference_mode()
def score(model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> AlignmentScore:
    """`align`, and the tokens' probability, for which all layers run."""
    forced = _TeacherForcedPass(model, text, tokens)
    weights, peakiness = forced.peaky_attention()
    return AlignmentScore(_alignment(weights), peakiness, forced.log_prob())


def attention_peakiness(weights: Tensor) -> Tensor:
    """How clearly each head reads on from letter to letter: [H], 0 to 1, from weights [H, T, X].

    The chance that two tokens in a row attend to one letter, or the second to the next letter, beyond the chance that
    evenly spread attention has. Lower for a head that hardly moves: one that rests on a mark follows no text.
    """
    letters = weights.shape[-1]
    if letters < 3 or weights.shape[1] < 2:
        return weights.new_zeros(weights.shape[0])
    here, there = weights[:, :-1], weights[:, 1:]
    onwards = (here * there).sum(dim=-1) + (here[..., :-1] * there[..., 1:]).sum(dim=-1)
    chance = 2 / letters
    share = weights.mean(dim=1)
    share = share / share.sum(dim=-1, keepdim=True).clamp_min(1e-9)
    breadth: Tensor = torch.special.entr(share).sum(dim=-1).exp() / letters
    # A head that reads one half of the text and not the other finds a fault; it is not less peaky for that.
    return ((onwards.mean(dim=-1) - chance) / (1 - chance)).clamp_min(0.0) * (2 * breadth).clamp_max(1.0)


class _TeacherForcedPass:
    """A pass over a whole utterance, layer by layer, that can stop after any layer and go on later."""

    def __init__(self, model: TextToSemantic, text: Sequence[int], tokens: Tensor) -> None:
        config, device = model.config, model.device
        ids = complete_text(config, text)
        self.decoder = model.decoder
        self.letters = _letters(config, ids)
        self.targets = F.pad(tokens.to(device), (0, 1), value=config.eos_id)
        length = len(self.targets)
        # No token attends to what is padded behind the end. Padding keeps the number of different shapes small: torch
        # keeps kernels and memory for each.
        padding = min(-length % _LENGTH_STEP, max(0, config.max_positions - length))
        # The ids that enter the first layer, later the hidden states [1, T, D] that left the last layer run.
        self.x = F.pad(self.targets[:-1], (1, padding), value=config.start_id)[None]
        self.state = model.start(model.pad_text([ids]), self.x.shape[1])
        self.layers = iter(range(config.decoder_layers))

    def peaky_attention(self) -> tuple[Tensor, float]:
        """Runs layers until one is peaky enough.

        Returns:
            Attention [T, X] over the letters, averaged over the peakiest heads of that layer (of the peakiest layer if
            none is peaky enough), and its peakiness.
        """
        best, best_peakiness = torch.zeros(len(self.targets), self.letters.stop - self.letters.start), -1.0
        for weights in self._run_layers():
            heads = attention_peakiness(weights)
            peakiest = heads.topk(min(_HEADS, len(heads)))
            peakiness = float(peakiest.values.mean())
            if peakiness > best_peakiness:
                best, best_peakiness = weights[peakiest.indices].mean(dim=0), peakiness
            if best_peakiness >= _PEAKY_LAYER:
                break
        return best, best_peakiness

    def log_prob(self) -> float:
        """Mean log-probability of the tokens and EOS. Runs the layers that were not run yet."""
        for _ in self._run_layers():
            pass
        log_probs = self.decoder.logits(self.x)[0, : len(self.targets)].float().log_softmax(dim=-1)
        return float(log_probs.gather(1, self.targets[:, None]).mean())

    def _run_layers(self) -> Iterator[Tensor]:
        """Runs the layers that were not run yet, one a step.

        Yields:
            The layer's cross-attention over the letters, [H, T, X]. Weights on the text's start, end and pads are left
            out.
        """
        for number in self.layers:
            weights: list[Tensor] = []
            self.x = self.decoder.forward(self.x, self.state, slice(number, number + 1), collect=weights)
            yield weights[0][0, :, : len(self.targets), self.letters]


def _letters(config: TextToSemanticConfig, ids: Sequence[int]) -> slice:
    """Which encoder positions are letters: not the start, not the end. Ids of language and rate have no position."""
    encoded = sum(token < config.letters for token in ids)
    letters = slice(int(config.text_start_id is not None), encoded - int(config.text_eos_id is not None))
    if letters.stop <= letters.start:
        raise UserError("there is no text to align the tokens to")
    return letters


def _alignment(weights: Tensor) -> Alignment:
    """weights: [T, X]."""
    return measure_coverage(best_path(weights.float().cpu().numpy()), weights.shape[1])
