"""A tiny model whose utterances end by themselves, and texts for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest
import torch

from spear_accel.decoding import DecodeOptions, DecodeResult, Engine, StoppingCriteria
from spear_accel.decoding.methods import Drafting
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from tests.decoding.drafters import GUARDS, drafting_for

Autoregressive = Callable[..., DecodeResult]


@pytest.fixture(scope="session")
def model() -> TextToSemantic:
    torch.manual_seed(1)
    config = TextToSemanticConfig(
        text_vocab_size=30, semantic_units=20, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=2,
        decoder_layers=3, ff_inner=48, embedding_scale=6.0, text_eos_id=2,
    )  # fmt: skip
    model = TextToSemantic(config).eval()
    with torch.no_grad():
        model.decoder.embedding.weight.mul_(8.0)
    return model


@pytest.fixture(scope="session")
def texts() -> list[list[int]]:
    generator = random.Random(5)
    return [[generator.randint(3, 29) for _ in range(count)] for count in (3, 9, 1, 6, 4, 12, 2, 5)]


@pytest.fixture(scope="session")
def autoregressive(model: TextToSemantic, texts: list[list[int]]) -> Autoregressive:
    """What autoregressive decoding says of `texts`, decoded once for equal options and guards."""

    @cache
    def decoded(guards: StoppingCriteria, options: DecodeOptions) -> DecodeResult:
        return Engine(model, options, guards).decode(texts)

    def autoregressive(guards: StoppingCriteria = GUARDS, **fields: object) -> DecodeResult:
        return decoded(guards, DecodeOptions(method="autoregressive", **fields))  # type: ignore[arg-type]

    return autoregressive


@pytest.fixture(scope="session")
def drafting(model: TextToSemantic) -> Drafting:
    return drafting_for(model)
