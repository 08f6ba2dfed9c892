"""How a kind of draft head is described: its config, its module, and how `accelerate` shapes and trains it.

A package brings a head of its own with its drafter: `MethodSpec.head` (docs/add_a_drafter.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from spear_accel.heads.trunk import Trunk
from spear_accel.model import TextToSemanticConfig

__all__ = ["DraftHead", "HeadSpec", "late_layer"]


class DraftHead(Protocol):
    """What training asks of a head."""

    horizon: int
    """Tokens that one teacher-forced position predicts."""
    single_step: bool
    """Whether it drafts further by taking the same step at the next position, as the decoder would."""

    def init_from_embedding(self, embedding: Tensor) -> None:
        """Start from the target's embedding [V + 1, D]."""

    def forward_teacher_forced(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, horizon, V]: entry (p, j) is about token positions[p] + j."""


@dataclass(frozen=True)
class HeadSpec:
    """One kind of head. Its module is built by `module(config, target_config)` and is a `DraftHead`."""

    kind: str
    """Name of the kind, which is also the name of the method that drafts with it."""
    config: type[Any]
    """Dataclass of the head's shape, which its config.json holds."""
    module: type[nn.Module]
    default_shape: Callable[[TextToSemanticConfig], dict[str, Any]]
    """Fields of `config` that `accelerate` chooses for a target model."""
    learning_rate: float = 0.0015
    positions: float = 0.25
    """Share of the positions of an utterance that a training step looks at."""
    alone: bool = False
    """Whether the head is trained in a run of its own, because its settings differ from those of the others."""
    by_default: bool = False
    """Whether `accelerate` trains it without being asked to."""
    least_layers: int = 1
    """Decoder layers that the target must have."""


def late_layer(config: TextToSemanticConfig) -> int:
    """The layer, from 0, whose keys and values of the text serve heads best: three quarters up (docs/training.md)."""
    return min(config.decoder_layers - 1, int(0.75 * config.decoder_layers))
