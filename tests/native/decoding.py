"""Texts, tokens and blocks for a native decoder."""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.model import DecoderState, TextToSemantic, TextToSemanticConfig
from spear_accel.model.native_backend import NativeBackend
from spear_accel.native.weights import Precision
from tests.model.conftest import lively, tiny_config


def with_kernel(model: TextToSemantic, kernel: str, precision: Precision | None = None) -> TextToSemantic:
    model.decoder.backend = NativeBackend(model.decoder, kernel, precision)
    return model


def native_model(kernel: str, precision: Precision | None = None, **changes: object) -> TextToSemantic:
    return with_kernel(lively(tiny_config(**changes)), kernel, precision)


def texts(config: TextToSemanticConfig, rows: int) -> Tensor:
    """[rows, 9] of different lengths."""
    generator = torch.Generator().manual_seed(3)
    text = torch.randint(3, config.letters, (rows, 9), generator=generator)
    for row in range(1, rows):
        text[row, 1 + 5 * row % 9 :] = config.text_pad_id
    return text


def tokens(config: TextToSemanticConfig, rows: int, count: int) -> Tensor:
    return torch.randint(0, config.semantic_units, (rows, count), generator=torch.Generator().manual_seed(4))


def logits_of(model: TextToSemantic, block: Tensor, state: DecoderState, **options: object) -> Tensor:
    return model.decoder.logits(model.decoder.forward(block, state, **options))  # type: ignore[arg-type]


def alone(model: TextToSemantic, text: Tensor, said: Tensor) -> Tensor:
    """Logits [rows, T, V] of every row by itself, token by token."""
    found = []
    for row in range(len(text)):
        state = model.start(text[row : row + 1], said.shape[1])
        steps = []
        for at in range(said.shape[1]):
            steps.append(logits_of(model, said[row : row + 1, at : at + 1], state))
            state.keep([1])
        found.append(torch.cat(steps, dim=1))
    return torch.cat(found)
