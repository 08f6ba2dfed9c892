"""Draft heads, models and tables for the tiny model of these tests, and decoding with them."""

from __future__ import annotations

import copy

import torch
from torch import nn

from spear_accel.decoding import DecodeOptions, DecodeResult, Engine, LengthBounds, StoppingCriteria
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.methods import Drafting
from spear_accel.heads import EarlyExit, build_head
from spear_accel.model import SkipSet, TextToSemantic

GUARDS = StoppingCriteria(length=LengthBounds(tokens_per_unit=5.0, shortest=0.3, longest=1.5, slack=10))
METHODS = (
    "early-exit", "prophet", "prophet-linear", "medusa", "recurrent", "draft-model", "layer-skip", "ngram", "jacobi",
)  # fmt: skip


def noisy(module: nn.Module, share: float) -> nn.Module:
    """A copy whose weights are off by `share` of their spread: it agrees often, not always."""
    generator = torch.Generator().manual_seed(0)
    copied = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in copied.parameters():
            if parameter.dim() > 1:
                parameter += share * parameter.std() * torch.randn(parameter.shape, generator=generator)
    return copied


def early_exit_like(model: TextToSemantic, share: float) -> EarlyExit:
    """A head that is the target's last layer: with no noise it says what the target says."""
    last = model.config.decoder_layers - 1
    head = build_head("early-exit", {"exit_layer": last, "ff_inner": model.config.ff_inner}, model.config)
    assert isinstance(head, EarlyExit)
    layer = model.decoder.stack[last].state_dict()
    head.blocks[0].load_state_dict({key: layer[key] for key in head.blocks[0].state_dict()})
    norm = model.decoder.final_norm.state_dict()
    if set(norm) == set(head.norm.state_dict()):
        # Other models have no norm there, or one of another kind.
        head.norm.load_state_dict(norm)
    head.init_from_embedding(model.decoder.embedding.weight)
    changed = noisy(head, share)
    assert isinstance(changed, EarlyExit)
    return changed


def prophet_like(kind: str, model: TextToSemantic, values: dict[str, int]) -> nn.Module:
    torch.manual_seed(3)
    head = build_head(kind, values, model.config)
    head.init_from_embedding(model.decoder.embedding.weight)  # type: ignore[operator]
    return head


def drafting_for(model: TextToSemantic) -> Drafting:
    """All that can draft for a model of at least three layers."""
    draft_model = noisy(model, 0.05)
    assert isinstance(draft_model, TextToSemantic)
    heads = {
        "early-exit": early_exit_like(model, 0.1),
        "prophet": prophet_like("prophet", model, {"starts": 3}),
        "prophet-linear": prophet_like("prophet-linear", model, {"horizon": 8}),
        "medusa": prophet_like("medusa", model, {"horizon": 8}),
        "recurrent": prophet_like("recurrent", model, {"inner": 48}),
    }
    return Drafting(heads, draft_model, Tuning(skip=SkipSet((1,), (0,))))


def decode(model: TextToSemantic, drafting: Drafting, options: DecodeOptions, texts: list[list[int]]) -> DecodeResult:
    method = drafting.resolve(options, len(texts))
    drafter, controller = drafting.prepare(model, method, options)
    return Engine(model, options, GUARDS, drafter, controller=controller).decode(texts)


def rows(result: DecodeResult) -> list[list[int]]:
    return [row.tolist() for row in result.tokens]
