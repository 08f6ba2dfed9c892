"""transformers' BART of a given shape, with random weights, by its own `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import BartConfig, BartForConditionalGeneration

from spear_accel.bench.peers.shape import Peer, Shape

__all__ = ["make"]

_MARKS = 4
"""Ids of BART's own start, padding, end and unknown."""


def make(shape: Shape, threads: int, precision: str) -> Peer:
    """precision: "float32" or "bfloat16"."""
    torch.set_num_threads(threads)
    # A plain feed-forward of as many weights stands for a gated one, which BART does not have.
    inner = shape.inner * 3 // 2 if shape.gated else shape.inner
    make_config: Any = BartConfig
    config = make_config(
        vocab_size=max(shape.text_ids, shape.vocab) + _MARKS, d_model=shape.dim, encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers, encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads, encoder_ffn_dim=inner, decoder_ffn_dim=inner,
        max_position_embeddings=2048,
    )  # fmt: skip
    model: Any = BartForConditionalGeneration(config)
    model = model.eval().to(getattr(torch, precision))

    def decode(texts: Sequence[Sequence[int]], count: int, temperature: float) -> None:
        width = max(map(len, texts))
        ids = torch.full((len(texts), width), config.pad_token_id)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text) + _MARKS
        drawn = {"temperature": temperature, "top_k": 0} if temperature else {}
        model.generate(
            ids, attention_mask=ids.ne(config.pad_token_id).long(), do_sample=bool(temperature), num_beams=1,
            min_new_tokens=count, max_new_tokens=count, **drawn,
        )  # fmt: skip

    return decode
