"""Decoder state: self-attention keys and values, cross-attention keys and values, and their lengths.

Left-aligned: slot j of a row holds position j, so rollback only lowers a length. Masks follow from
positions (`views.py`). Knows nothing about layers' weights, sampling or utterances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.model.config import TextToSemanticConfig

FIRST_SLOTS = 256
SCALE_BYTES = 4
"""Behind the numbers of a slot in int8 lies the float32 that they are to be multiplied by."""


@dataclass(frozen=True)
class TreeMask:
    """Which tokens of a block continue which, where the block is no plain sequence.

    Of the block's T tokens, depths: int64 [T], how many positions each is behind the first; visible: bool [T, T], true
    where the row's token attends to the column's (to itself and to what it continues).
    """

    depths: Tensor
    visible: Tensor


@dataclass(frozen=True)
class AttentionMetadata:
    """Where a block of T new tokens per row goes in a `KeyValueCache`, and what the tokens attend to.

    Token t of row b is written to slot lengths[b] + t and has position lengths[b] + t, or lengths[b] + tree.depths[t].
    It attends to the slots below lengths[b] and, within its block, to all tokens up to itself or to `tree.visible[t]`.

    lengths: [B], committed slots of each row; count: T; span: slots in use behind the block, of the longest row.
    """

    lengths: Sequence[int]
    count: int
    span: int
    tree: TreeMask | None

    @property
    def is_level(self) -> bool:
        """Whether all rows have the same length."""
        return min(self.lengths) == max(self.lengths)


class KeyValueCache:
    """Self-attention keys and values of a stack of layers, [2, L, rows, G, S, C].

    `lengths[b]` counts the committed slots of live row b. A forward writes at lengths[b] + i without
    moving the length; `keep` then commits, `rewind` goes back. Slots at or beyond a row's length are
    never visible to it; they always hold finite numbers, because 0 * NaN would leak through any mask.
    In int8, which only the native step reads, C is the width of a head and `SCALE_BYTES`.
    Storage has as many rows as were ever live and `FIRST_SLOTS` slots at first, and either doubles when needed, up to
    `most_rows` and `capacity`: bounds are far above what most calls use.
    """

    def __init__(self, layers: int, rows: int, kv_heads: int, capacity: int, head_dim: int, like: Tensor) -> None:
        """`capacity`: most slots of a row; `like`: a tensor whose dtype and device the cache takes."""
        self.capacity, self.most_rows = capacity, rows
        width = head_dim + (SCALE_BYTES if like.dtype == torch.int8 else 0)
        self.storage = like.new_zeros(2, layers, 0, kv_heads, min(capacity, FIRST_SLOTS), width)
        self.lengths: list[int] = []
        self._written = 0

    @property
    def rows(self) -> int:
        """Live rows B."""
        return len(self.lengths)

    def place(self, count: int, tree: TreeMask | None = None) -> AttentionMetadata:
        """Make room for `count` new tokens behind each live row, one after another or as `tree` says.

        Raises:
            ValueError: The block does not fit behind the longest row.
        """
        longest = max(self.lengths)
        span = longest + count
        if span > self.capacity:
            raise ValueError(f"cache of {self.capacity} slots cannot take {count} more after {longest}")
        self._reserve(span)
        return AttentionMetadata(self.lengths, count, span, tree)

    def _reserve(self, slots: int) -> None:
        """Make room for `slots` slots in every row."""
        self.storage = _with_room(self.storage, slots, self.capacity, self.rows)
        self._written = max(self._written, slots)

    def keep(self, counts: Sequence[int]) -> None:
        """Commit the first counts[b] slots that the last block wrote behind row b."""
        if len(counts) != self.rows:
            raise ValueError(f"keep: {len(counts)} counts for {self.rows} live rows")
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]

    def compact(self, path: Tensor) -> None:
        """Of a block with branches, move the tokens of each row's path to the slots behind the block's first token.

        path: int64 [B, P], nodes of the block counted from its second token, -1 where a row has no more. The path's
        tokens keep their positions: one of depth d then lies in the slot of that position.
        """
        device = self.storage.device
        straight = torch.arange(path.shape[1], device=device)
        source = torch.where(path >= 0, path, straight)
        if bool((source == straight).all()):
            return
        if self.rows == 1:
            # The same by a plain copy: indices into rows and slots at once are slow, and this is the common case.
            block = self.storage[:, :, 0, :, self.lengths[0] + 1 :]
            block[..., : path.shape[1], :] = block.index_select(3, source[0])
            return
        rows, first = torch.arange(self.rows, device=device)[:, None], torch.tensor(self.lengths, device=device)
        slots = first[:, None] + 1
        self.storage[:, :, rows, :, slots + straight] = self.storage[:, :, rows, :, slots + source]

    def rewind(self, lengths: Sequence[int]) -> None:
        """Go back to earlier lengths, one per live row."""
        if len(lengths) != self.rows or any(new > old for new, old in zip(lengths, self.lengths, strict=True)):
            raise ValueError(f"rewind: {list(lengths)} is not a rollback of {self.lengths}")
        self.lengths = list(lengths)

    def select(self, rows: Sequence[int]) -> None:
        """Make live row rows[i] the new row i; all others leave. Only moved rows are copied."""
        _move(self.storage, rows, self._written)
        self.storage[:, :, len(rows) : self.rows, :, : self._written] = 0
        self.lengths = [self.lengths[row] for row in rows]
        self._written = self._written if rows else 0

    def admit(self, count: int) -> None:
        """Add `count` empty rows behind the live ones."""
        if self.rows + count > self.most_rows:
            raise ValueError(f"admit: {self.rows} + {count} rows exceed the cache's {self.most_rows}")
        self.storage = _with_rows(self.storage, self.rows + count, self.most_rows, self.rows)
        self.lengths = self.lengths + [0] * count


class CrossCache:
    """Cross-attention keys and values, projected once per utterance, [2, L, rows, G, X, C].

    X counts text tokens and, where the model has one, the null key in slot 0. Never cropped by rollback. Storage grows
    as that of `KeyValueCache`.
    """

    def __init__(self, layers: int, rows: int, kv_heads: int, capacity: int, head_dim: int, like: Tensor) -> None:
        self.capacity, self.most_rows = capacity, rows
        self.storage = like.new_zeros(2, layers, 0, kv_heads, min(capacity, FIRST_SLOTS), head_dim)
        self.lengths: list[int] = []
        self.keys: tuple[Tensor, ...] = ()
        self.values: tuple[Tensor, ...] = ()
        self.mask: Tensor | None = None

    def admit(self, keys: Tensor, values: Tensor, lengths: Sequence[int]) -> None:
        """Add rows. keys, values: [L, n, G, X, C]; lengths: visible slots of each new row."""
        first, count, width = len(self.lengths), keys.shape[1], keys.shape[3]
        if first + count > self.most_rows or width > self.capacity:
            raise ValueError(
                f"admit: {first} + {count} rows of {width} slots exceed the cache's {self.most_rows} of {self.capacity}"
            )
        self.storage = _with_rows(self.storage, first + count, self.most_rows, first)
        self.storage = _with_room(self.storage, width, self.capacity, first)
        self.storage[0, :, first : first + count, :, :width] = keys
        self.storage[1, :, first : first + count, :, :width] = values
        self.lengths = self.lengths + list(lengths)
        self._refresh()

    def select(self, rows: Sequence[int]) -> None:
        """Make live row rows[i] the new row i; all others leave."""
        _move(self.storage, rows, max(self.lengths, default=0))
        self.lengths = [self.lengths[row] for row in rows]
        self._refresh()

    def _refresh(self) -> None:
        """Views and mask per layer change only here, so a decoding step finds them ready."""
        widest = max(self.lengths, default=0)
        keys, values = self.storage[:, :, : len(self.lengths), :, :widest].unbind(0)
        self.keys, self.values = keys.unbind(0), values.unbind(0)
        self.mask = None
        if self.lengths and min(self.lengths) < widest:
            device = self.storage.device
            lengths = torch.tensor(self.lengths, device=device)
            visible = torch.arange(widest, device=device) < lengths[:, None]
            self.mask = additive_mask(visible[:, None, None], self.storage)


class DecoderState:
    """All that decoding remembers of its live rows: one `KeyValueCache` and one `CrossCache`."""

    def __init__(
        self,
        config: TextToSemanticConfig,
        rows: int,
        capacity: int,
        text_capacity: int,
        like: Tensor,
        own_like: Tensor | None = None,
    ) -> None:
        """
        Args:
            config: Sizes of the decoder.
            rows: Most live rows.
            capacity: Self-attention slots.
            text_capacity: Text tokens per row.
            like: A tensor whose dtype and device the caches take.
            own_like: Instead of `like` for self-attention.
        """
        layers, groups, width = config.decoder_layers, config.kv_heads, config.head_dim
        self.own = KeyValueCache(layers, rows, groups, capacity, width, like if own_like is None else own_like)
        crossing = config.cross_kv_heads or groups
        self.cross = CrossCache(layers, rows, crossing, text_capacity + config.null_kv, width, like)
        self.added: Tensor | None = None
        """[B, 1, D]: what each row adds to every input of the decoder, if the model has such a thing."""

    @property
    def rows(self) -> int:
        """Live rows B."""
        return self.own.rows

    @property
    def lengths(self) -> list[int]:
        """Committed self-attention slots of each live row."""
        return self.own.lengths

    @property
    def bytes(self) -> int:
        """Memory of both caches: 2 * L * rows * G * C * (S + X) * bytes per number."""
        return sum(part.numel() * part.element_size() for part in (self.own.storage, self.cross.storage))

    def keep(self, counts: Sequence[int], path: Tensor | None = None) -> None:
        """Commit the first counts[b] tokens of the last block of row b; of a block with branches the first token and
        those of its path (see `KeyValueCache.compact`)."""
        if path is not None:
            self.own.compact(path)
        self.own.keep(counts)

    def rewind(self, lengths: Sequence[int]) -> None:
        """Go back to earlier lengths; the text side stays as it is."""
        self.own.rewind(lengths)

    def select(self, rows: Sequence[int]) -> None:
        """Make live row rows[i] the new row i; all others leave."""
        self.own.select(rows)
        self.cross.select(rows)
        if self.added is not None:
            self.added = self.added[list(rows)]

    def admit(self, keys: Tensor, values: Tensor, lengths: Sequence[int], added: Tensor | None = None) -> None:
        """Add rows at position 0 with projected text. keys, values: [L, n, G, X, C]; added: [n, 1, D] or None."""
        self.cross.admit(keys, values, lengths)
        self.own.admit(len(lengths))
        if added is not None:
            self.added = added if self.added is None else torch.cat((self.added, added))


def additive_mask(visible: Tensor, like: Tensor) -> Tensor:
    """0 where `visible`, -inf elsewhere: what attention adds to its scores, made once for all layers."""
    return torch.zeros(visible.shape, dtype=like.dtype, device=like.device).masked_fill_(~visible, -torch.inf)


def _with_room(storage: Tensor, slots: int, capacity: int, rows: int) -> Tensor:
    """`storage` [2, L, rows, G, S, C] where it has room for `slots`; else a larger one with its first `rows` rows."""
    present = storage.shape[4]
    if slots <= present:
        return storage
    larger = storage.new_zeros(*storage.shape[:4], min(capacity, max(slots, 2 * present)), storage.shape[5])
    larger[:, :, :rows, :, :present] = storage[:, :, :rows]
    return larger


def _with_rows(storage: Tensor, needed: int, most: int, rows: int) -> Tensor:
    """`storage` [2, L, rows, G, S, C] if it has `needed` rows; else a larger one with its first `rows` rows."""
    present = storage.shape[2]
    if needed <= present:
        return storage
    shape = list(storage.shape)
    shape[2] = min(most, max(needed, 2 * present))
    larger = storage.new_zeros(shape)
    larger[:, :, :rows] = storage[:, :, :rows]
    return larger


def _move(storage: Tensor, rows: Sequence[int], used: int) -> None:
    """storage[:, :, i] = storage[:, :, rows[i]] for rows that change place, first `used` slots only."""
    moves = [(new, old) for new, old in enumerate(rows) if new != old]
    if moves:
        new, old = (list(side) for side in zip(*moves, strict=True))
        storage[:, :, new, :, :used] = storage[:, :, old, :, :used]
