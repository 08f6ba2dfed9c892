"""Finds the layer behind which a checkpoint's early exit was trained, which its file does not tell.

Behind its own layer a head says what the model says; behind any other it is worse. Judged on the model's own samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spear_accel.heads import EarlyExit, trunk_pass
from spear_accel.model import TextToSemantic

__all__ = ["find_exit_layer"]

_UTTERANCES, _LETTERS, _TOKENS = 8, 24, 48


@torch.no_grad()
def find_exit_layer(model: TextToSemantic, head_behind: Callable[[int], EarlyExit]) -> int:
    """The layer, from 1, behind which `head_behind(layer)` is nearest to the model: least mean KL(model || head)."""
    generator = torch.Generator().manual_seed(0)
    config = model.config
    text = torch.randint(1, config.letters - 1, (_UTTERANCES, _LETTERS), generator=generator)
    if config.text_eos_id is not None:
        text[:, -1] = config.text_eos_id
    trunk = trunk_pass(model, text, _sampled(model, text, generator))
    wanted = trunk.logits.log_softmax(dim=-1)
    positions = torch.arange(trunk.inputs.shape[1])
    distances = {}
    for layer in range(1, config.decoder_layers):
        said = head_behind(layer).forward_teacher_forced(trunk, positions)[:, :, 0].log_softmax(dim=-1)
        distances[layer] = float((wanted.exp() * (wanted - said)).sum(dim=-1).mean())
    return min(distances, key=lambda layer: distances[layer])


def _sampled(model: TextToSemantic, text: Tensor, generator: torch.Generator) -> Tensor:
    """Semantic tokens [B, T] drawn one by one at temperature 1, EOS never."""
    state = model.start(text, _TOKENS + 1)
    token = torch.full((len(text), 1), model.config.start_id)
    drawn = []
    for _ in range(_TOKENS):
        logits = model.decoder.logits(model.decoder.forward(token, state))[:, -1]
        state.keep([1] * len(text))
        logits[:, model.config.eos_id] = -torch.inf
        token = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)
        drawn.append(token)
    return torch.cat(drawn, dim=1)
