"""The kinds of draft heads by name, and how one is built from what its config.json says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol

from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads.early_exit import EarlyExit, EarlyExitConfig
from spear_accel.heads.medusa import Medusa, MedusaConfig
from spear_accel.heads.prophet import Prophet, ProphetConfig
from spear_accel.heads.prophet_linear import ProphetLinear, ProphetLinearConfig
from spear_accel.heads.recurrent import Recurrent, RecurrentConfig
from spear_accel.heads.trunk import Trunk
from spear_accel.model import TextToSemanticConfig

__all__ = ["HEADS", "DraftHead", "build_head", "head_config"]


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


HEADS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "early-exit": (EarlyExitConfig, EarlyExit),
    "prophet": (ProphetConfig, Prophet),
    "prophet-linear": (ProphetLinearConfig, ProphetLinear),
    "medusa": (MedusaConfig, Medusa),
    "recurrent": (RecurrentConfig, Recurrent),
}
"""Config and module of each kind; the kind is also the name of the method that drafts with it."""


def build_head(kind: str, values: Mapping[str, Any], target: TextToSemanticConfig, source: str = "head") -> nn.Module:
    """A head with fresh weights.

    Raises:
        UserError: The kind is unknown, or a value is unknown, missing or out of range; `source` names the file.
    """
    if kind not in HEADS:
        raise UserError(f"{source}: kind {kind!r} is unknown; choose one of {', '.join(HEADS)}")
    shape, module = HEADS[kind]
    unknown = sorted(set(values) - {field.name for field in fields(shape)})
    if unknown:
        raise UserError(f"{source}: unknown field(s) {', '.join(unknown)}; remove them")
    try:
        return module(shape(**values), target)
    except TypeError as error:
        raise UserError(f"{source}: {error}") from error


def head_config(head: nn.Module) -> dict[str, Any]:
    """What `build_head` needs to build the head's shape again: its kind and its config."""
    for kind, (_, module) in HEADS.items():
        if isinstance(head, module):
            return {"kind": kind, **asdict(head.config)}  # type: ignore[call-overload]
    raise TypeError(f"{type(head).__name__} is no draft head")
