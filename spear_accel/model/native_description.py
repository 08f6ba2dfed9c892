"""What encoder and decoder consist of, as the native step reads it: every weight packed once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spear_accel.model.attention import SelfAttention
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.decoder import Decoder
from spear_accel.model.encoder import Encoder
from spear_accel.model.layers import FeedForward, FixedTable, PlainFeedForward, RMSNorm, RootMeanSquareNorm
from spear_accel.model.relative import RelativePositions
from spear_accel.native.structures import Layer, Linear, Norm
from spear_accel.native.weights import ACTIVATIONS, StepWeights

__all__ = ["describe_decoder", "describe_encoder", "describe_linear"]


_ACTIVATION_OF = {"geglu": "gelu", "geglu-tanh": "gelu-tanh", "reglu": "relu", "swiglu": "silu"}
"""Of gated feed-forwards; the others are called by it."""


def describe_decoder(decoder: Decoder, weights: StepWeights) -> StepWeights:
    """Pack all weights of a decoder."""
    config, model = decoder.config, weights.model
    layers = []
    for layer in decoder.stack:
        described = _layer(layer.attention_norm, layer.attention, layer.feed_forward_norm, layer.feed_forward, weights)
        described.cross_norm = _norm(layer.cross_norm, weights)
        described.query = describe_linear(layer.cross.query, weights)
        described.cross_out = describe_linear(layer.cross.out, weights)
        layers.append(described)
    weights.stack(layers)
    model.embedding = weights.table(decoder.embedding.weight)
    model.rotary = _rotary(decoder.rotary, weights)
    model.times = weights.table(_values(decoder.times))
    model.learned = weights.table(decoder.positions)
    model.relative = _relative(decoder.relative, weights)
    model.final_norm = _norm(decoder.final_norm, weights)
    model.embedding_norm = _norm(decoder.embedding_norm, weights)
    _describe_blocks(config, weights)
    if decoder.output is not None:
        model.output = describe_linear(decoder.output, weights)
    else:
        model.output = weights.linear(decoder.embedding.weight[: config.vocab], decoder.output_bias)
    model.embedding_scale, model.dim, model.heads = config.embedding_scale, config.dim, config.heads
    model.kv_heads, model.cross_kv_heads = config.kv_heads, config.cross_kv_heads or config.kv_heads
    model.head_dim, model.inner, model.null_slots = config.head_dim, config.ff_inner, int(config.null_kv)
    model.vocab, model.positions = config.vocab + 1, config.max_positions
    return weights


def describe_encoder(encoder: Encoder, weights: StepWeights) -> StepWeights:
    """Pack all weights of an encoder, behind its learned positions."""
    model, layers = weights.model, encoder.stack
    attention = layers[0].attention
    weights.stack(
        [_layer(one.attention_norm, one.attention, one.feed_forward_norm, one.feed_forward, weights) for one in layers]
    )
    model.rotary = _rotary(encoder.rotary, weights)
    model.times = weights.table(_values(encoder.times))
    model.relative = _relative(encoder.relative, weights)
    model.final_norm = _norm(encoder.final_norm, weights)
    _describe_blocks(encoder.config, weights)
    model.dim, model.heads, model.kv_heads = attention.out.out_features, attention.heads, attention.kv_heads
    model.head_dim, model.inner = attention.head_dim, _inner(layers[0].feed_forward)
    relative = None if encoder.relative is None else encoder.relative.buckets
    tables = (_values(encoder.rotary), encoder.positions, _values(encoder.times), _values(relative))
    model.positions = min(len(table) for table in tables if table is not None)
    return weights


def describe_linear(linear: nn.Module | Tensor, weights: StepWeights) -> Linear:
    """Pack one linear map."""
    assert isinstance(linear, nn.Linear)
    return weights.linear(linear.weight, linear.bias)


def _layer(
    attention_norm: nn.Module,
    attention: SelfAttention,
    feed_norm: nn.Module,
    feed: nn.Module,
    weights: StepWeights,
) -> Layer:
    """What encoder and decoder layers have in common."""
    assert isinstance(feed, (FeedForward, PlainFeedForward))
    described = Layer(
        attention_norm=_norm(attention_norm, weights), feed_forward_norm=_norm(feed_norm, weights),
        qkv=describe_linear(attention.qkv, weights), out=describe_linear(attention.out, weights),
        contract=describe_linear(feed.out, weights),
    )  # fmt: skip
    if isinstance(feed, FeedForward):
        expand = feed.expand
        inner = expand.out_features // 2
        value, gate = expand.weight[:inner], expand.weight[inner:]
        biases = (None, None) if expand.bias is None else (expand.bias[:inner], expand.bias[inner:])
        described.expand, described.gate = weights.linear(value, biases[0]), weights.linear(gate, biases[1])
    else:
        described.expand = describe_linear(feed.expand, weights)
    return described


def _inner(feed: nn.Module) -> int:
    assert isinstance(feed, (FeedForward, PlainFeedForward))
    return feed.out.in_features


def _values(table: FixedTable | None) -> Tensor | None:
    return None if table is None else table.values


def _rotary(table: FixedTable | None, weights: StepWeights) -> int | None:
    return weights.table(None if table is None else torch.view_as_real(table.values))


def _relative(relative: RelativePositions | None, weights: StepWeights) -> int | None:
    """What scores get added by distance: [H, P], or both ways [H, 2 P - 1], the token's own last or in the middle."""
    if relative is None:
        return None
    last = len(relative.buckets.values) - 1
    keys = torch.arange(0 if relative.one_way else -last, last + 1)
    return weights.table(relative(torch.tensor([last if relative.one_way else 0]), keys)[:, 0])


def _describe_blocks(config: TextToSemanticConfig, weights: StepWeights) -> None:
    kind = config.feed_forward
    weights.model.activation = ACTIVATIONS[_ACTIVATION_OF.get(kind, kind)]
    weights.model.post_norm = int(config.norm_order == "post")


def _norm(norm: nn.Module | None, weights: StepWeights) -> Norm:
    if norm is None or isinstance(norm, nn.Identity):
        return Norm()
    if isinstance(norm, RMSNorm | RootMeanSquareNorm):
        return weights.norm(norm.gain, None, norm.eps, "rms" if isinstance(norm, RMSNorm) else "rms-eps")
    assert isinstance(norm, nn.LayerNorm)
    return weights.norm(norm.weight, norm.bias, norm.eps, "layer")
