"""What PyTorch's attention needs to run a block on a `KeyValueCache`: views of the cache, positions and a mask.

Made once for all layers of a call. A native step reads the cache by its address and needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.model.cache import AttentionMetadata, KeyValueCache, TreeMask, additive_mask
from spear_accel.model.relative import RelativePositions

__all__ = ["BlockViews"]


@dataclass(frozen=True)
class BlockViews:
    """Tensors of one block of T new tokens per row.

    positions: of the new tokens, as an index into a table: a slice or int64 [T] (level rows) or int64 [B, T] (ragged).
    rotary: factors, complex64 [T, 1, C / 2] (level rows) or [B, T, 1, C / 2] (ragged), if the model has any.
    keys, values: per layer [B, G, span, C], views of the cache up to the last slot in use.
    index: ragged rows only: (rows [B, 1], slots [B, T]) that receive the block.
    first: level rows only: the slot that receives the first token.
    mask: what scores get added, [1 or B, 1, T, span] or, where positions are relative, [1 or B, H, T, span]: -inf where
    nothing is visible; None where that is nowhere and nothing is added.
    """

    positions: slice | Tensor
    rotary: Tensor | None
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    index: tuple[Tensor, Tensor] | None
    first: int
    mask: Tensor | None

    @classmethod
    def of(
        cls,
        cache: KeyValueCache,
        placed: AttentionMetadata,
        rotary: Tensor | None,
        relative: RelativePositions | None = None,
    ) -> BlockViews:
        """Views of `cache` for a block that `cache.place` made room for.

        rotary: the whole table, or None; relative: what scores get added by distance, or None.

        Raises:
            UserError: The cache is in int8.
        """
        if cache.storage.dtype == torch.int8:
            raise UserError("only the native step reads a cache in int8: decode without gradients and autocast")
        keys, values = cache.storage[:, :, : cache.rows, :, : placed.span].unbind(0)
        make = cls._level if placed.is_level else cls._ragged
        views = make(placed, rotary, keys, values)
        return views if relative is None else replace(views, mask=_added(placed, relative, views.mask, keys))

    @classmethod
    def _level(cls, placed: AttentionMetadata, rotary: Tensor | None, keys: Tensor, values: Tensor) -> BlockViews:
        first, tree = placed.lengths[0], placed.tree
        positions = slice(first, placed.span) if tree is None else first + tree.depths
        mask = None if placed.count == 1 else _level_mask(placed, keys)
        factors = None if rotary is None else rotary[positions]
        return cls(positions, factors, keys.unbind(0), values.unbind(0), None, first, mask)

    @classmethod
    def _ragged(cls, placed: AttentionMetadata, rotary: Tensor | None, keys: Tensor, values: Tensor) -> BlockViews:
        device, tree = keys.device, placed.tree
        starts = torch.tensor(placed.lengths, device=device)[:, None]
        slots = starts + torch.arange(placed.count, device=device)
        every = torch.arange(placed.span, device=device)
        if tree is None:
            positions, visible = slots, every <= slots[:, :, None]
        else:
            positions, visible = starts + tree.depths, _tree_visible(tree, starts, every)
        index = (torch.arange(len(placed.lengths), device=device)[:, None], slots)
        mask = additive_mask(visible[:, None], keys)
        factors = None if rotary is None else rotary[positions]
        return cls(positions, factors, keys.unbind(0), values.unbind(0), index, 0, mask)

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store the block's keys and values [B, T, G, C]; return all of the layer's, [B, G, span, C]."""
        all_keys, all_values = self.keys[layer], self.values[layer]
        if self.index is None:
            count = keys.shape[1]
            all_keys.narrow(2, self.first, count).copy_(keys.transpose(1, 2))
            all_values.narrow(2, self.first, count).copy_(values.transpose(1, 2))
        else:
            rows, slots = self.index
            all_keys[rows, :, slots] = keys.to(all_keys.dtype)
            all_values[rows, :, slots] = values.to(all_values.dtype)
        return all_keys, all_values


def _level_mask(placed: AttentionMetadata, like: Tensor) -> Tensor:
    """[1, 1, T, span]: all that came before the block, and of itself a triangle or what the tree says."""
    visible = torch.ones(placed.count, placed.span, dtype=torch.bool, device=like.device)
    if placed.tree is None:
        visible = visible.tril(placed.span - placed.count)
    else:
        visible[:, placed.span - placed.count :] = placed.tree.visible
    return additive_mask(visible[None, None], like)


def _added(placed: AttentionMetadata, relative: RelativePositions, mask: Tensor | None, like: Tensor) -> Tensor:
    """[1 or B, H, T, span]: `mask`, and what scores get added by the distance of their positions."""
    lengths = placed.lengths[:1] if placed.is_level else placed.lengths
    starts = torch.tensor(lengths, device=like.device)[:, None]
    every = torch.arange(placed.span, device=like.device)
    inside = every - starts
    depths = torch.arange(placed.count, device=like.device) if placed.tree is None else placed.tree.depths
    # Slots of the block hold positions by depth; those before it, their own; what lies behind is never visible.
    keys = torch.where(inside < 0, every, starts + depths[inside.clamp(0, placed.count - 1)])
    added: Tensor = relative(starts + depths, keys).to(like.dtype)
    return added if mask is None else added + mask


def _tree_visible(tree: TreeMask, starts: Tensor, every: Tensor) -> Tensor:
    """bool [B, T, span]: all that came before each row's block, and of the block what `tree.visible` says.

    starts: [B, 1], slot of each row's first token; every: [span].
    """
    count = tree.visible.shape[0]
    inside = every - starts
    own = tree.visible[:, inside.clamp(0, count - 1)].transpose(0, 1)
    before = (inside < 0)[:, None]
    return before | (own & (inside < count)[:, None])
