"""What encoder and decoder consist of, as the native step reads it: every weight packed once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spear_accel.model.attention import SelfAttention
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.decoder import Decoder
from spear_accel.model.encoder import Encoder
from spear_accel.model.layers import FeedForward, FixedTable, PlainFeedForward, RMSNorm
from spear_accel.native import Choice, choose_kernel
from spear_accel.native.structures import Layer, Linear, Norm
from spear_accel.native.weights import StepWeights

__all__ = ["choice_for", "describe_decoder", "describe_encoder", "describe_linear", "native_gap"]


def native_gap(config: TextToSemanticConfig) -> str | None:
    """Why the native step cannot compute such a model; None if it can."""
    lacks = [
        name
        for name, here in (
            ("relative positions", config.positions == "relative"),
            ("norms behind the blocks", config.norm_order == "post"),
            ("a norm of embeddings", config.embedding_norm),
            ("RMS norm with its constant under the root", config.norm == "rms-eps"),
            (f"the feed-forward {config.feed_forward}", config.feed_forward not in ("geglu", "gelu")),
        )
        if here
    ]
    return f"the native step has no {' and no '.join(lacks)}" if lacks else None


def choice_for(config: TextToSemanticConfig, kernel: str | None = None) -> Choice:
    """What computes such a model on a CPU, and why. kernel: as `choose_kernel` takes it."""
    gap = native_gap(config)
    return choose_kernel(kernel) if gap is None else Choice(None, gap)


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
    model.final_norm = _norm(decoder.final_norm, weights)
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
    model.final_norm = _norm(encoder.final_norm, weights)
    model.dim, model.heads, model.kv_heads = attention.out.out_features, attention.heads, attention.kv_heads
    model.head_dim, model.inner = attention.head_dim, _inner(layers[0].feed_forward)
    tables = (_values(encoder.rotary), encoder.positions, _values(encoder.times))
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


def _norm(norm: nn.Module, weights: StepWeights) -> Norm:
    if isinstance(norm, RMSNorm):
        return weights.norm(norm.gain, None, norm.eps, False)
    assert isinstance(norm, nn.LayerNorm)
    return weights.norm(norm.weight, norm.bias, norm.eps, True)
