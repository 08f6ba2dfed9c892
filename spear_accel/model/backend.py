"""The seam between the decoder and what computes it: PyTorch, or a native step that works on the same state.

Everything that runs layers on a `DecoderState` comes through here: verification, early exit, layer skipping, read-back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.model.cache import DecoderState, TreeMask
from spear_accel.model.encoder import Encoder

__all__ = ["ALL_LAYERS", "DecoderBackend", "SkipSet"]

ALL_LAYERS = slice(None)


@dataclass(frozen=True)
class SkipSet:
    """Layers, from 0, whose blocks are left out (Draft & Verify, Zhang et al. 2023, arXiv 2309.08168)."""

    attention: tuple[int, ...] = ()
    """Self- and cross-attention."""
    feed_forward: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("attention", "feed_forward"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    def check(self, layers: int) -> SkipSet:
        """Return the set itself if it fits a decoder of `layers` layers.

        Raises:
            UserError: A layer is not there, or nothing would be left to run.
        """
        wrong = [layer for layer in (*self.attention, *self.feed_forward) if not 0 <= layer < layers]
        if wrong:
            raise UserError(f"skip set: layer {wrong[0]} is not there; the decoder has 0 to {layers - 1}")
        if len(self.attention) == layers:
            raise UserError("skip set: it leaves out every attention block; a draft must read something")
        return self


class DecoderBackend(Protocol):
    """Computes one decoder. Results of two backends differ by rounding only."""

    @property
    def native(self) -> bool:
        """Whether the native step decodes, rather than PyTorch."""

    @property
    def batch_invariant(self) -> bool:
        """Whether no bit of a row's results depends on how it is batched: on other rows, block or tree."""

    @property
    def precision(self) -> str:
        """In which linear maps compute: "float32", "bfloat16", "float16" or "int8"."""

    @property
    def cache_dtype(self) -> torch.dtype:
        """Of the tokens' keys and values in a `DecoderState`."""

    @property
    def text_cache_dtype(self) -> torch.dtype:
        """Of the text's."""

    def forward(
        self,
        block: Tensor,
        state: DecoderState,
        layers: slice,
        skip: SkipSet | None,
        tree: TreeMask | None,
        collect: list[Tensor] | None,
    ) -> Tensor:
        """Run layers [i:j) for T new tokens of every live row, writing the cache at lengths[b] + t.

        Lengths do not move: `state.keep` commits what should stay.

        Args:
            block: Ids [B, T] if i is 0, else the hidden states [B, T, D] that left layer i - 1.
            state: Caches of the live rows.
            layers: Which layers to run.
            skip: Blocks of these layers to leave out.
            tree: Which token continues which, if the block is no plain sequence.
            collect: Receives, of each layer whose attention runs, what its tokens attend to in the text: float32
                [B, H, T, X], without the null slot.

        Returns:
            Hidden states [B, T, D] that left layer j - 1, before the final norm.

        Raises:
            ValueError: The block does not fit into the cache.
        """

    def read_text(self, encoder: Encoder, embedded: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Embedded texts [B, X, D] through `encoder` -> the keys and values that every layer reads, once per utterance.

        visible: bool [B, X], false at padding, which stands behind a text. Returns two of [L, B, G, X', C]; X' counts
        the null slot. What lies behind a row's own slots means nothing.
        """

    def logits(self, hidden: Tensor) -> Tensor:
        """Final hidden states [B, T, D] -> logits [B, T, V]."""
