"""Checkpoints of spear-tts-pytorch's `TextToSemantic`, to our model and back, bit for bit.

The files hold no config: sizes follow from shapes, and the width of a head from the rotary frequencies or the null key.
Key tables in both directions are pure functions of the shape; no file of the peer's package is needed or imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.heads import EarlyExit, EarlyExitConfig
from spear_accel.importers.torch_pickle import check_keys, read_pickle, tensors_of
from spear_accel.model import TextToSemantic, TextToSemanticConfig

__all__ = ["PeerShape", "early_exits", "load", "load_early_exit", "read_table"]

LAYOUT = "spear-tts-pytorch"
THETA = 10_000.0
EXIT = "to_early_exit_semantic_logits"
# One tensor under several names: the first is ours.
ALIASES = {
    "semantic_token_emb.weight": ("token_emb.speech.weight", "to_logits.speech.weight"),
    "token_emb.text.weight": ("to_logits.text.weight",),
}
_NEEDED = (
    "semantic_token_emb.weight", "token_emb.text.weight", "source_transformer.layers.0.0.to_q.0.weight",
    "target_transformer.layers.0.0.to_kv.0.weight", "target_transformer.layers.0.2.1.weight",
)  # fmt: skip


@dataclass(frozen=True)
class PeerShape:
    """Sizes of a checkpoint, in the peer's terms."""

    dim: int
    head_dim: int
    heads: int
    kv_heads: int
    source_depth: int
    target_depth: int
    ff_inner: int
    text_ids: int
    units: int
    exit_inner: int = 0
    """Inner width of the early exit's feed-forward; 0 without an early exit."""

    def keys(self) -> dict[str, tuple[int, ...]]:
        """Every key of such a checkpoint, aliases left out, with its shape."""
        width, dim = self.heads * self.head_dim, self.dim
        shapes: dict[str, tuple[int, ...]] = {
            "semantic_token_emb.weight": (self.units + 1, dim), "token_emb.text.weight": (self.text_ids + 1, dim),
            "start_token.speech": (dim,), "start_token.text": (dim,),
            "source_transformer.final_norm.gamma": (dim,), "target_transformer.final_norm.gamma": (dim,),
        }  # fmt: skip
        for side, depth in (("source", self.source_depth), ("target", self.target_depth)):
            for layer in range(depth):
                place = f"{side}_transformer.layers.{layer}"
                groups = self.kv_heads if side == "target" else self.heads
                shapes[f"{place}.0.rotary_emb.freqs"] = (self.head_dim // 2,)
                shapes |= self._attention(f"{place}.0", groups * self.head_dim)
                if side == "target":
                    shapes[f"{place}.1.null_kv"] = (2, self.heads, 1, self.head_dim)
                    shapes |= self._attention(f"{place}.1", width)
                shapes |= self._feed_forward(f"{place}.2", self.ff_inner)
        if self.exit_inner:
            shapes |= self._feed_forward(f"{EXIT}.0.fn", self.exit_inner)
            shapes |= {f"{EXIT}.1.gamma": (dim,), f"{EXIT}.2.weight": (self.units + 1, dim)}
        return shapes

    def config(self) -> TextToSemanticConfig:
        return TextToSemanticConfig(
            text_vocab_size=self.text_ids + 1, semantic_units=self.units, dim=self.dim, heads=self.heads,
            kv_heads=self.kv_heads, encoder_kv_heads=self.heads, cross_kv_heads=self.heads, head_dim=self.head_dim,
            encoder_layers=self.source_depth, decoder_layers=self.target_depth, ff_inner=self.ff_inner, null_kv=True,
            rotary_theta=THETA, embedding_scale=1.0, norm_eps=1e-12, text_pad_id=0, text_eos_id=self.text_ids,
            feed_forward_bias=True, text_target=True,
        )  # fmt: skip

    def _attention(self, place: str, kv_width: int) -> dict[str, tuple[int, ...]]:
        width = self.heads * self.head_dim
        return {
            f"{place}.norm.gamma": (self.dim,), f"{place}.to_q.0.weight": (width, self.dim),
            f"{place}.to_kv.0.weight": (2 * kv_width, self.dim), f"{place}.to_out.weight": (self.dim, width),
        }  # fmt: skip

    def _feed_forward(self, place: str, inner: int) -> dict[str, tuple[int, ...]]:
        return {
            f"{place}.0.gamma": (self.dim,), f"{place}.1.weight": (2 * inner, self.dim),
            f"{place}.1.bias": (2 * inner,), f"{place}.4.weight": (self.dim, inner), f"{place}.4.bias": (self.dim,),
        }  # fmt: skip


def load(path: str | Path, heads: int | None = None, head_dim: int | None = None) -> TextToSemantic:
    """The model of a checkpoint: a plain state dict, or the trainer's package around one.

    heads, head_dim: only where the file tells neither; else they are checked against it.

    Raises:
        UserError: The file cannot be read safely, is of another model (every differing key is named), or contradicts
            `heads` or `head_dim`.
    """
    table = read_table(path)
    return _build(table, _shape(table, heads, head_dim, path))


def load_early_exit(path: str | Path, exit_layer: int) -> EarlyExit | None:
    """The checkpoint's early exit as a head behind layer `exit_layer` (from 1), which the file does not tell; None
    where it has none. Raises as `load`, and where there is no such layer."""
    behind = early_exits(path)
    return None if behind is None else behind(exit_layer)


def early_exits(path: str | Path) -> Callable[[int], EarlyExit] | None:
    """The checkpoint's early exit behind any layer; None where it has none. Raises as `load_early_exit`."""
    table = read_table(path)
    shape = _shape(table, None, None, path)
    if not shape.exit_inner:
        return None

    def behind(exit_layer: int) -> EarlyExit:
        config = EarlyExitConfig(exit_layer=exit_layer, blocks=0, feed_forward=shape.exit_inner)
        head = EarlyExit(config, shape.config())
        head.load_state_dict({ours: table[theirs] for ours, theirs in exit_names().items()})
        return head.eval()

    return behind


def read_table(path: str | Path) -> dict[str, Tensor]:
    """The checkpoint's tensors by name, each once, in float32.

    Raises UserError as `load`, and where names of one tensor hold different numbers.
    """
    found = read_pickle(path)
    for package in ("model", "state_dict"):
        if isinstance(found, dict) and isinstance(found.get(package), dict):
            found = found[package]
    table = tensors_of(found, path)
    if all(name.startswith("module.") for name in table):
        table = {name.removeprefix("module."): value for name, value in table.items()}
    for first, others in ALIASES.items():
        held = [table.pop(name) for name in others if name in table]
        same = table.setdefault(first, held[0]) if held else table.get(first)
        if same is not None and not all(torch.equal(same, one) for one in held):
            raise UserError(f"{path}: {first} and {', '.join(others)} differ, and the layout has one tensor there")
    return {name: value.float() if value.is_floating_point() else value for name, value in table.items()}


def names(config: TextToSemanticConfig) -> dict[str, str]:
    """The peer's key of every parameter of ours that is a plain copy of one of its tensors."""
    table = {
        "text_embedding.weight": "token_emb.text.weight", "text_start": "start_token.text",
        "encoder.final_norm.gain": "source_transformer.final_norm.gamma",
        "decoder.final_norm.gain": "target_transformer.final_norm.gamma",
    }  # fmt: skip
    for ours, theirs, depth in (
        ("encoder", "source_transformer", config.encoder_layers),
        ("decoder", "target_transformer", config.decoder_layers),
    ):
        for layer in range(depth):
            mine, other = f"{ours}.layers.{layer}", f"{theirs}.layers.{layer}"
            table[f"{mine}.attention_norm.gain"] = f"{other}.0.norm.gamma"
            table |= _feed_forward_names(f"{mine}.feed_forward_norm", f"{mine}.feed_forward", f"{other}.2")
            if ours == "decoder":
                table |= {
                    f"{mine}.cross_norm.gain": f"{other}.1.norm.gamma", f"{mine}.cross.query.weight":
                    f"{other}.1.to_q.0.weight", f"{mine}.cross.kv.weight": f"{other}.1.to_kv.0.weight",
                    f"{mine}.cross.out.weight": f"{other}.1.to_out.weight",
                }  # fmt: skip
    return table


def exit_names() -> dict[str, str]:
    """The same for the early exit."""
    return {
        **_feed_forward_names("last_norm", "last", f"{EXIT}.0.fn"),
        "norm.gain": f"{EXIT}.1.gamma", "projection.weight": f"{EXIT}.2.weight",
    }  # fmt: skip


def query_order(config: TextToSemanticConfig) -> Tensor:
    """Where our query channels come from, int64 [H * C].

    The peer's query head i reads key head i % G, ours reads i // (H / G).
    """
    heads = torch.arange(config.heads).view(-1, config.kv_heads).t().flatten()
    return (heads[:, None] * config.head_dim + torch.arange(config.head_dim)).flatten()


def _build(table: Mapping[str, Tensor], shape: PeerShape) -> TextToSemantic:
    config = shape.config()
    model = TextToSemantic(config).eval()
    state = {ours: table[theirs] for ours, theirs in names(config).items()}
    state["decoder.embedding.weight"] = torch.cat(
        (table["semantic_token_emb.weight"], table["start_token.speech"][None])
    )
    for side, theirs, order in (("encoder", "source", None), ("decoder", "target", query_order(config))):
        for layer in range(len(getattr(model, side).layers)):
            mine, other = f"{side}.layers.{layer}", f"{theirs}_transformer.layers.{layer}"
            query, out = table[f"{other}.0.to_q.0.weight"], table[f"{other}.0.to_out.weight"]
            if order is not None:
                query, out = query[order], out[:, order]
                null = table[f"{other}.1.null_kv"]
                state[f"{mine}.cross.null"] = null[:, :, 0]
            state[f"{mine}.attention.qkv.weight"] = torch.cat((query, table[f"{other}.0.to_kv.0.weight"]))
            state[f"{mine}.attention.out.weight"] = out
    model.load_state_dict(state)
    return model


def _shape(table: Mapping[str, Tensor], heads: int | None, head_dim: int | None, path: str | Path) -> PeerShape:
    """Raises UserError as `load`."""
    absent = [name for name in _NEEDED if name not in table or table[name].dim() != 2]
    if absent:
        check_keys(table, _smallest(), path, LAYOUT)
    embedding, query = table["semantic_token_emb.weight"], table["source_transformer.layers.0.0.to_q.0.weight"]
    head_dim = _head_dim(table, len(query), heads, head_dim, path)
    early_exit = table.get(f"{EXIT}.0.fn.1.weight")
    shape = PeerShape(
        dim=embedding.shape[1], head_dim=head_dim, heads=len(query) // head_dim,
        kv_heads=max(1, len(table["target_transformer.layers.0.0.to_kv.0.weight"]) // (2 * head_dim)),
        source_depth=_depth(table, "source"), target_depth=_depth(table, "target"),
        ff_inner=len(table["target_transformer.layers.0.2.1.weight"]) // 2,
        text_ids=len(table["token_emb.text.weight"]) - 1, units=len(embedding) - 1,
        exit_inner=0 if early_exit is None else len(early_exit) // 2,
    )  # fmt: skip
    check_keys(table, shape.keys(), path, LAYOUT)
    _check_frequencies(table, shape, path)
    return shape


def _smallest() -> dict[str, tuple[int, ...]]:
    """Keys to compare a file with that is nowhere near the layout."""
    return PeerShape(512, 64, 8, 8, 1, 1, 1365, 256, 500).keys()


def _head_dim(table: Mapping[str, Tensor], width: int, heads: int | None, given: int | None, path: str | Path) -> int:
    """The width of a head, by all that tells it; `width` is that of all query heads together."""
    told: dict[str, int] = {}
    if (freqs := table.get("source_transformer.layers.0.0.rotary_emb.freqs")) is not None:
        told[f"rotary_emb.freqs has {len(freqs)} entries"] = 2 * len(freqs)
    if (null := table.get("target_transformer.layers.0.1.null_kv")) is not None and null.dim() == 4:
        told[f"null_kv is {list(null.shape)}"] = null.shape[3]
    if given is not None:
        told[f"--head-dim {given}"] = given
    if heads is not None:
        if heads < 1 or width % heads:
            raise UserError(f"{path}: --heads {heads} does not divide the {width} rows of to_q.0.weight")
        told[f"--heads {heads}, with {width} rows in to_q.0.weight,"] = width // heads
    if not told:
        raise UserError(f"{path}: neither rotary_emb.freqs nor null_kv tells the width of a head; give --heads")
    widths = set(told.values())
    if len(widths) > 1 or width % min(widths):
        claims = "; ".join(f"{what} means heads of width {width}" for what, width in told.items())
        raise UserError(f"{path}: the width of a head is contradicted ({claims}; to_q.0.weight has {width} rows)")
    return widths.pop()


def _depth(table: Mapping[str, Tensor], side: str) -> int:
    start = f"{side}_transformer.layers."
    numbers = [name.removeprefix(start).split(".")[0] for name in table if name.startswith(start)]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=0)


def frequencies(head_dim: int) -> Tensor:
    """The peer's rotary frequencies, float32 [C / 2]."""
    return 1.0 / (THETA ** (torch.arange(0, head_dim, 2)[: head_dim // 2].float() / head_dim))


def _check_frequencies(table: Mapping[str, Tensor], shape: PeerShape, path: str | Path) -> None:
    wanted = frequencies(shape.head_dim)
    for name, value in table.items():
        if name.endswith("rotary_emb.freqs") and not torch.allclose(value, wanted, rtol=1e-5, atol=0.0):
            raise UserError(f"{path}: {name} are not the frequencies of rotary positions with theta {THETA:g}")


def _feed_forward_names(norm: str, body: str, place: str) -> dict[str, str]:
    return {
        f"{norm}.gain": f"{place}.0.gamma", f"{body}.expand.weight": f"{place}.1.weight",
        f"{body}.expand.bias": f"{place}.1.bias", f"{body}.out.weight": f"{place}.4.weight",
        f"{body}.out.bias": f"{place}.4.bias",
    }  # fmt: skip
