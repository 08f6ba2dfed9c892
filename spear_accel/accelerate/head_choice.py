"""Whether a head that was trained drafts better than the one of its kind that the voice had.

Knows no files and trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from torch import nn

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.methods import Drafting
from spear_accel.model import TextToSemantic

__all__ = ["HeadChoice", "choose_head", "tokens_per_call"]

_DEPTH = 6
"""Tokens that both heads draft, or what the shorter can."""


@dataclass(frozen=True)
class HeadChoice:
    """Two heads of one kind, by the tokens that a target call yields with drafts of either."""

    before: float
    after: float

    @property
    def takes_new(self) -> bool:
        return self.after > self.before

    @property
    def verdict(self) -> str:
        return "the new one is taken" if self.takes_new else "the voice's own stays"

    def __str__(self) -> str:
        return f"{self.before:.2f} tokens a target call before, {self.after:.2f} after; {self.verdict}"

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def choose_head(
    model: TextToSemantic,
    name: str,
    before: nn.Module,
    after: nn.Module,
    text_ids: Sequence[Sequence[int]],
    options: DecodeOptions,
) -> HeadChoice:
    """Decode `text_ids` (without EOS) with drafts of both heads, under the same noise and of the same length.

    Args:
        model: The target.
        name: The method that drafts with a head of this kind.
        before: The head that the voice has.
        after: The head that was trained.
        text_ids: Texts that neither head learned from.
        options: Sampling and bounds.
    """
    depth = min(_DEPTH, *(_drafting(name, head).drafter(model, name, _DEPTH).longest for head in (before, after)))
    return HeadChoice(*(tokens_per_call(model, name, head, text_ids, options, depth) for head in (before, after)))


def tokens_per_call(
    model: TextToSemantic,
    name: str,
    head: nn.Module,
    text_ids: Sequence[Sequence[int]],
    options: DecodeOptions,
    depth: int,
) -> float:
    """Tokens that a row gains by a target call, with chains of `depth` drafts of `head`."""
    chosen = replace(options, method=name, draft_length=depth, candidates=1, loop_retries=0)
    drafter, controller = _drafting(name, head).prepare(model, name, chosen)
    stats = Engine(model, chosen, drafter=drafter, controller=controller).decode(text_ids).stats
    return stats.block_efficiency


def _drafting(name: str, head: nn.Module) -> Drafting:
    return Drafting(heads={name: head})
