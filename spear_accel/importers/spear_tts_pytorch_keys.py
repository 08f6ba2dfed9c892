"""Names and shapes in a checkpoint of spear-tts-pytorch, as pure functions of its sizes; import and export share them.

No file of that package is needed or imported.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.model import TextToSemanticConfig

__all__ = ["ALIASES", "EXIT", "LAYOUT", "THETA", "PeerShape", "exit_names", "frequencies", "names", "query_order"]

LAYOUT = "spear-tts-pytorch"
THETA = 10_000.0
EXIT = "to_early_exit_semantic_logits"
# One tensor under several names: the first is ours.
ALIASES = {
    "semantic_token_emb.weight": ("token_emb.speech.weight", "to_logits.speech.weight"),
    "token_emb.text.weight": ("to_logits.text.weight",),
}


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
    semantic_ids: int
    exit_inner: int = 0
    """Inner width of the early exit's feed-forward; 0 without an early exit."""

    def keys(self) -> dict[str, tuple[int, ...]]:
        """Every key of such a checkpoint but `ALIASES`, with its shape."""
        width, dim = self.heads * self.head_dim, self.dim
        shapes: dict[str, tuple[int, ...]] = {
            "semantic_token_emb.weight": (self.semantic_ids + 1, dim),
            "token_emb.text.weight": (self.text_ids + 1, dim),
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
            shapes |= {f"{EXIT}.1.gamma": (dim,), f"{EXIT}.2.weight": (self.semantic_ids + 1, dim)}
        return shapes

    def config(self) -> TextToSemanticConfig:
        return TextToSemanticConfig(
            text_vocab_size=self.text_ids + 1, semantic_units=self.semantic_ids, dim=self.dim, heads=self.heads,
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


def frequencies(head_dim: int) -> Tensor:
    """The peer's rotary frequencies, float32 [C / 2]."""
    return 1.0 / (THETA ** (torch.arange(0, head_dim, 2)[: head_dim // 2].float() / head_dim))


def _feed_forward_names(norm: str, body: str, place: str) -> dict[str, str]:
    return {
        f"{norm}.gain": f"{place}.0.gamma", f"{body}.expand.weight": f"{place}.1.weight",
        f"{body}.expand.bias": f"{place}.1.bias", f"{body}.out.weight": f"{place}.4.weight",
        f"{body}.out.bias": f"{place}.4.bias",
    }  # fmt: skip
