"""Fills a model with the tensors of a T5 or BART, one at a time: no more memory than the model and one tensor.

Factors that those models compute with (T5 does not scale its scores, but a tied output) go into weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.importers.hugging_face_config import Family
from spear_accel.importers.hugging_face_files import Tensors
from spear_accel.importers.hugging_face_positions import sinusoids
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage.fitting import build_for
from spear_accel.storage.keys import misfits

__all__ = ["has_output_bias", "load_model"]

_BIAS = "final_logits_bias"
_SHARED = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
_ATTENTION_T5, _ATTENTION_BART = ("q", "k", "v", "o"), ("q_proj", "k_proj", "v_proj", "out_proj")


class Part(NamedTuple):
    """A tensor of the checkpoint that becomes rows of one of ours."""

    name: str
    shape: tuple[int, ...]
    factor: float = 1.0
    skip: int = 0
    """Rows of it that are left out at its beginning."""


@dataclass(frozen=True)
class _Source:
    """Tensors under plain names: without the `model.` that one of two classes puts in front."""

    tensors: Tensors
    names: dict[str, str]

    @classmethod
    def of(cls, tensors: Tensors) -> _Source:
        return cls(tensors, {name.removeprefix("model."): name for name in tensors.shapes})

    def read(self, name: str) -> Tensor:
        return self.tensors.read(self.names[name])

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors.shapes[self.names[name]]

    def first(self, *names: str) -> str:
        """The first name that is there, or the first."""
        return next((name for name in names if name in self.names), names[0])


def has_output_bias(tensors: Tensors) -> bool:
    """Whether a tied output of these tensors has a bias beside zeros."""
    source = _Source.of(tensors)
    return _BIAS in source.names and bool(source.read(_BIAS).any())


def load_model(
    tensors: Tensors, config: TextToSemanticConfig, family: Family, start: int, fault: str
) -> TextToSemantic:
    """The model of a checkpoint, in float32.

    Args:
        tensors: Of the checkpoint.
        config: Its shape.
        family: Of the model.
        start: Token that the decoder reads first.
        fault: Beginning of errors: the folder, and what it should hold.

    Raises:
        UserError: Tensors are missing, unexpected or of another shape (all are named), or a number is not finite.
    """
    source = _Source.of(tensors)
    layers = config.encoder_layers + config.decoder_layers
    if layers > len(source.names):
        raise UserError(f"{fault}: {layers} layers, for which it has {len(source.names)} tensors")
    plan = dict(_t5(config, source) if family.kind == "t5" else _bart(config, family, source))
    _check(plan, config, family, source, fault)
    model = build_for(lambda: TextToSemantic(config), tensors.shapes, fault).eval()
    own, tables = model.state_dict(), _computed(config, family)
    filled = {*plan, *tables, "text_embedding.weight", "decoder.output.bias"}
    assert filled >= set(own), sorted(set(own) - filled)
    with torch.no_grad():
        for name, parts in plan.items():
            _fill(own[name], parts, source, fault)
        for name, table in tables.items():
            own[name][: len(table)] = table
            own[name][len(table) :] = 0.0
        embedding = model.decoder.embedding.weight
        embedding[-1] = embedding[start]
        if not config.tied_output and _BIAS not in source.names:
            own["decoder.output.bias"].zero_()
    return model


def _fill(target: Tensor, parts: list[Part], source: _Source, fault: str) -> None:
    """Put parts below each other into `target`; rows behind the last become zeros."""
    row = 0
    for part in parts:
        tensor = source.read(part.name)[part.skip :] if part.skip else source.read(part.name)
        rows = target[row : row + len(tensor)] if tensor.dim() == target.dim() else target
        rows.copy_(tensor.reshape(rows.shape))
        if not bool(rows.isfinite().all()):
            raise UserError(f"{fault}: {part.name} holds numbers that are not finite; take the original")
        if part.factor != 1.0:
            rows.mul_(part.factor)
        row += len(rows)
    target[row:] = 0.0


def _check(
    plan: dict[str, list[Part]], config: TextToSemanticConfig, family: Family, source: _Source, fault: str
) -> None:
    """Compare the checkpoint with what is wanted of it. Raises UserError naming every difference."""
    wanted = {part.name: part.shape for parts in plan.values() for part in parts}
    known = {*_SHARED, _BIAS, "encoder.embed_positions.weights", "decoder.embed_positions.weights"}
    if family.sinusoids:
        known |= {"encoder.embed_positions.weight", "decoder.embed_positions.weight"}
    found = {name: source.shape(name) for name in source.names if name in wanted or name not in known}
    # One layer's relative positions serve all; some files hold them for cross-attention, where nobody reads them.
    found.pop("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", None)
    if faults := misfits(found, wanted):
        raise UserError(f"{fault}: {faults}")


def _computed(config: TextToSemanticConfig, family: Family) -> dict[str, Tensor]:
    if family.sinusoids is None:
        return {}
    assert config.text_positions is not None
    table = sinusoids(family.sinusoids, config.text_positions, config.dim, family.offset)
    return {"encoder.positions": table, "decoder.positions": table}


def _embeddings(config: TextToSemanticConfig, source: _Source) -> Iterator[tuple[str, list[Part]]]:
    """Tables of both sides and the output."""
    vocab = (config.vocab, config.dim)
    if config.shared_embedding:
        yield "decoder.embedding.weight", [Part(source.first(*_SHARED[: 4 if config.tied_output else 3]), vocab)]
    else:
        names = ("decoder.embed_tokens.weight", *(("lm_head.weight",) if config.tied_output else ()))
        yield "decoder.embedding.weight", [Part(source.first(*names), vocab)]
        yield "text_embedding.weight", [Part("encoder.embed_tokens.weight", (config.letters, config.dim))]
    bias = [Part(_BIAS, (1, config.vocab))]
    if config.output_bias:
        yield "decoder.output_bias", bias
    if not config.tied_output:
        yield "decoder.output.weight", [Part("lm_head.weight", vocab)]
        if _BIAS in source.names:
            yield "decoder.output.bias", bias


def _t5(config: TextToSemanticConfig, source: _Source) -> Iterator[tuple[str, list[Part]]]:
    dim, mixed, inner = config.dim, config.heads * config.head_dim, config.ff_inner
    yield from _embeddings(config, source)
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield f"{side}.relative.weight", [Part(bias, (config.relative_buckets, config.heads))]
        # A tied output divides by the root of the width.
        last = dim**-0.5 if side == "decoder" and config.tied_output else 1.0
        yield f"{side}.final_norm.gain", [Part(f"{side}.final_layer_norm.weight", (dim,), last)]
        for layer in range(layers):
            ours, place = f"{side}.layers.{layer}", f"{side}.block.{layer}.layer"
            feed = 1 if side == "encoder" else 2
            own, cross = f"{place}.0.SelfAttention", f"{place}.1.EncDecAttention"
            # Scores are not divided by the root of a head's width there, so queries are multiplied by it.
            query, key, value = (
                (name, (mixed, dim), factor)
                for name, factor in zip(_ATTENTION_T5, (math.sqrt(config.head_dim), 1.0, 1.0), strict=False)
            )
            stacked = [Part(f"{own}.{name}.weight", shape, factor) for name, shape, factor in (query, key, value)]
            yield f"{ours}.attention.qkv.weight", stacked
            yield f"{ours}.attention.out.weight", [Part(f"{own}.o.weight", (dim, mixed))]
            yield f"{ours}.attention_norm.gain", [Part(f"{place}.0.layer_norm.weight", (dim,))]
            if side == "decoder":
                yield f"{ours}.cross.query.weight", [Part(f"{cross}.q.weight", query[1], query[2])]
                both = [Part(f"{cross}.{name}.weight", (mixed, dim)) for name in ("k", "v")]
                yield f"{ours}.cross.kv.weight", both
                yield f"{ours}.cross.out.weight", [Part(f"{cross}.o.weight", (dim, mixed))]
                yield f"{ours}.cross_norm.gain", [Part(f"{place}.1.layer_norm.weight", (dim,))]
            dense = f"{place}.{feed}.DenseReluDense"
            # The gate is the second half here.
            enter = ("wi_1", "wi_0") if "glu" in config.feed_forward else ("wi",)
            expand = [Part(f"{dense}.{name}.weight", (inner, dim)) for name in enter]
            yield f"{ours}.feed_forward.expand.weight", expand
            yield f"{ours}.feed_forward.out.weight", [Part(f"{dense}.wo.weight", (dim, inner))]
            yield f"{ours}.feed_forward_norm.gain", [Part(f"{place}.{feed}.layer_norm.weight", (dim,))]


def _bart(config: TextToSemanticConfig, family: Family, source: _Source) -> Iterator[tuple[str, list[Part]]]:
    dim, inner = config.dim, config.ff_inner
    yield from _embeddings(config, source)
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        if family.sinusoids is None:
            assert config.text_positions is not None
            rows = config.text_positions + family.offset
            learned = Part(f"{side}.embed_positions.weight", (rows, dim), skip=family.offset)
            yield f"{side}.positions", [learned]
        norms = [("embedding_norm", "layernorm_embedding")] if config.embedding_norm else []
        norms += [("final_norm", "layer_norm")] if config.norm_order == "pre" else []
        for ours, theirs in norms:
            for part in ("weight", "bias"):
                yield f"{side}.{ours}.{part}", [Part(f"{side}.{theirs}.{part}", (dim,))]
        for layer in range(layers):
            for part in ("weight", "bias"):
                yield from _bart_layer(f"{side}.layers.{layer}", part, dim, inner, side == "decoder")


def _bart_layer(place: str, part: str, dim: int, inner: int, crosses: bool) -> Iterator[tuple[str, list[Part]]]:
    """Weights or biases of one layer."""
    square, line = ((dim, dim), (dim,)) if part == "weight" else ((dim,), (dim,))
    query, key, value, out = (f"{name}.{part}" for name in _ATTENTION_BART)
    stacked = [Part(f"{place}.self_attn.{name}", square) for name in (query, key, value)]
    yield f"{place}.attention.qkv.{part}", stacked
    yield f"{place}.attention.out.{part}", [Part(f"{place}.self_attn.{out}", square)]
    yield f"{place}.attention_norm.{part}", [Part(f"{place}.self_attn_layer_norm.{part}", line)]
    if crosses:
        yield f"{place}.cross.query.{part}", [Part(f"{place}.encoder_attn.{query}", square)]
        yield f"{place}.cross.kv.{part}", [Part(f"{place}.encoder_attn.{name}", square) for name in (key, value)]
        yield f"{place}.cross.out.{part}", [Part(f"{place}.encoder_attn.{out}", square)]
        yield f"{place}.cross_norm.{part}", [Part(f"{place}.encoder_attn_layer_norm.{part}", line)]
    wide, narrow = ((inner, dim), (dim, inner)) if part == "weight" else ((inner,), (dim,))
    yield f"{place}.feed_forward.expand.{part}", [Part(f"{place}.fc1.{part}", wide)]
    yield f"{place}.feed_forward.out.{part}", [Part(f"{place}.fc2.{part}", narrow)]
    yield f"{place}.feed_forward_norm.{part}", [Part(f"{place}.final_layer_norm.{part}", line)]
