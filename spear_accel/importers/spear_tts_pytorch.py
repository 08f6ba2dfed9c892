"""Imports spear-tts-pytorch's `TextToSemantic`, bit for bit.

The files hold no config: sizes follow from shapes, and the width of a head from the rotary frequencies or the null key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.heads import EarlyExit, EarlyExitConfig
from spear_accel.importers.base import Imported, Importer, ImportOptions, card_of, make_tokenizer
from spear_accel.importers.exit_layer import find_exit_layer
from spear_accel.importers.spear_tts_pytorch_keys import (
    ALIASES,
    EXIT,
    LAYOUT,
    THETA,
    PeerShape,
    exit_names,
    frequencies,
    names,
    query_order,
)
from spear_accel.importers.torch_pickle import check_keys, read_pickle, tensors_of
from spear_accel.model import TextToSemantic

__all__ = ["IMPORTER", "early_exits", "load", "load_early_exit", "read_table"]

FRAME_RATE = 50.0
"""Semantic tokens a second of the HuBERT tokenizer that the package is used with."""
_NEEDED = (
    "semantic_token_emb.weight", "token_emb.text.weight", "source_transformer.layers.0.0.to_q.0.weight",
    "target_transformer.layers.0.0.to_kv.0.weight", "target_transformer.layers.0.2.1.weight",
)  # fmt: skip


def load(path: str | Path, heads: int | None = None, head_dim: int | None = None) -> TextToSemantic:
    """The model of a checkpoint: a plain state dict, or the trainer's package around one.

    Args:
        path: The checkpoint.
        heads: Attention heads; needed only if the file says neither heads nor `head_dim`, else checked against it.
        head_dim: Channels of a head, likewise.

    Raises:
        UserError: The file cannot be read safely, is of another model (every differing key is named), or contradicts
            `heads` or `head_dim`.
    """
    table = read_table(path)
    return _build(table, _shape(table, heads, head_dim, path))


def load_early_exit(path: str | Path, exit_layer: int) -> EarlyExit | None:
    """The checkpoint's early exit as a head that follows layer `exit_layer` (from 1); None if it has none.

    Raises:
        UserError: As `load`; or the model has no such layer.
    """
    behind = early_exits(path)
    return None if behind is None else behind(exit_layer)


def early_exits(path: str | Path) -> Callable[[int], EarlyExit] | None:
    """Makes the checkpoint's early exit for any layer, because the file does not say which; None if it has none.

    Raises:
        UserError: As `load`.
    """
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

    Raises:
        UserError: As `load`; or names of one tensor hold different numbers.
    """
    table = tensors_of(_state_dict(read_pickle(path)), path)
    for first, others in ALIASES.items():
        held = [table.pop(name) for name in others if name in table]
        same = table.setdefault(first, held[0]) if held else table.get(first)
        if same is not None and not all(torch.equal(same, one) for one in held):
            raise UserError(f"{path}: {first} and {', '.join(others)} differ, and the layout has one tensor there")
    return {name: value.float() if value.is_floating_point() else value for name, value in table.items()}


def _state_dict(found: object) -> object:
    """The state dict in a trainer's package around it; anything else as it is."""
    for package in ("model", "state_dict"):
        if isinstance(found, dict) and isinstance(found.get(package), dict):
            found = found[package]
    return found


def _recognises(path: Path) -> bool:
    try:
        return set(_NEEDED) <= set(tensors_of(_state_dict(read_pickle(path)), path))
    except UserError:
        return False


def _import(path: Path, options: ImportOptions) -> Imported:
    """The model with its early exit, whose layer is found if the options do not name it."""
    model = load(path, options.heads, options.head_dim)
    tokenizer, card = make_tokenizer(options.text_tokenizer, model.config), card_of(path, options, FRAME_RATE)
    behind, layer = early_exits(path), options.early_exit_layer
    if behind is None and layer is not None:
        raise UserError(f"--early-exit-layer {layer}: {path} has no early exit; leave it out")
    if behind is None or model.config.decoder_layers < 2:
        return Imported(model, tokenizer, card)
    if layer is None:
        layer = find_exit_layer(model, behind)
    return Imported(model, tokenizer, card, (behind(layer),), layer)


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
        text_ids=len(table["token_emb.text.weight"]) - 1, semantic_ids=len(embedding) - 1,
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


def _check_frequencies(table: Mapping[str, Tensor], shape: PeerShape, path: str | Path) -> None:
    wanted = frequencies(shape.head_dim)
    for name, value in table.items():
        if name.endswith("rotary_emb.freqs") and not torch.allclose(value, wanted, rtol=1e-5, atol=0.0):
            raise UserError(f"{path}: {name} are not the frequencies of rotary positions with theta {THETA:g}")


IMPORTER = Importer(
    LAYOUT, "a state dict, alone or in a trainer's package (`model`, `state_dict`)", _recognises, _import,
    frozenset({"text_tokenizer", "heads", "head_dim", "early_exit_layer"}),
)  # fmt: skip
