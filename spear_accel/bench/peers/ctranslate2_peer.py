"""CTranslate2's Transformer of a given shape, with random weights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import common_spec, transformer_spec

from spear_accel.bench.peers.shape import Peer, Shape

__all__ = ["make"]


def make(shape: Shape, threads: int, precision: str) -> Peer:
    """precision: "float32" or "int8", as CTranslate2 understands it."""
    spec = transformer_spec.TransformerSpec.from_config(
        (shape.encoder_layers, shape.decoder_layers), shape.heads, activation=common_spec.Activation.GELU,
        ffn_glu=shape.gated, rms_norm=shape.rms,
    )  # fmt: skip
    _fill(spec, shape)
    source = [f"t{i}" for i in range(shape.text_ids)]
    target = [f"s{i}" for i in range(shape.vocab)]
    for names, register in ((source, spec.register_source_vocabulary), (target, spec.register_target_vocabulary)):
        register([*names, "<blank>", "<unk>", "<s>", "</s>"])
    with tempfile.TemporaryDirectory() as folder:
        spec.validate()
        spec.optimize(quantization=precision)
        spec.save(folder)
        translator = ctranslate2.Translator(
            folder, device="cpu", inter_threads=1, intra_threads=threads, compute_type=precision
        )

    def decode(texts: Sequence[Sequence[int]], count: int, temperature: float) -> None:
        drawn = {"sampling_topk": 0, "sampling_temperature": temperature} if temperature else {}
        translator.translate_batch(
            [[source[i % len(source)] for i in text] for text in texts], beam_size=1, min_decoding_length=count,
            max_decoding_length=count, max_batch_size=len(texts), **drawn,
        )  # fmt: skip

    return decode


def _fill(spec: Any, shape: Shape) -> None:
    """Random weights of the sizes that the places in the specification call for."""
    dim, rng = shape.dim, np.random.default_rng(0)

    def linear(place: Any, outputs: int, inputs: int) -> None:
        place.weight = (rng.standard_normal((outputs, inputs)) * inputs**-0.5).astype(np.float32)
        place.bias = np.zeros(outputs, dtype=np.float32)

    def norm(place: Any) -> None:
        place.gamma = np.ones(dim, dtype=np.float32)
        if not shape.rms:
            place.beta = np.zeros(dim, dtype=np.float32)

    def attend(place: Any, sizes: Sequence[int]) -> None:
        norm(place.layer_norm)
        for linear_place, outputs in zip(place.linear, sizes, strict=True):
            linear(linear_place, outputs, dim)

    for side, vocab in ((spec.encoder, shape.text_ids), (spec.decoder, shape.vocab)):
        for place in _embeddings(side):
            # Four more than are said: CTranslate2's own marks.
            place.weight = rng.standard_normal((vocab + 4, dim)).astype(np.float32)
        norm(side.layer_norm)
        for layer in side.layer:
            attend(layer.self_attention, (3 * dim, dim))
            if hasattr(layer, "attention"):
                attend(layer.attention, (dim, 2 * dim, dim))
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, shape.inner, dim)
            if shape.gated:
                linear(layer.ffn.linear_0_noact, shape.inner, dim)
            linear(layer.ffn.linear_1, dim, shape.inner)
    linear(spec.decoder.projection, shape.vocab + 4, dim)


def _embeddings(side: Any) -> Iterator[Any]:
    yield from side.embeddings if isinstance(side.embeddings, list) else [side.embeddings]
