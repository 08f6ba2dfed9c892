"""What `accelerate` is allowed to do, and the shapes that it gives to heads. Knows sizes and shares of time only."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from spear_accel.errors import UserError
from spear_accel.model import TextToSemanticConfig

__all__ = ["AcceleratePlan", "HeadRun", "head_runs"]

# Shares of the time: the rest is for measuring.
SAMPLING, SEARCHING = 0.25, 0.03
FEWEST_STEPS, MOST_STEPS = 50, 8000
_INNER_SHARE = 4
_USUAL = ("recurrent", "prophet", "early-exit", "medusa")


@dataclass(frozen=True)
class AcceleratePlan:
    """How long to work, and on what."""

    minutes: float = 50.0
    """About how long the whole takes on this machine."""
    heads: tuple[str, ...] | None = None
    """Kinds of heads to train, in place of those of the voice; None: every usual kind that the voice lacks."""
    utterances: int = 8000
    """Most utterances that the model speaks to learn from."""
    steps: int | None = None
    """Training steps of each run; from `minutes` where left out."""
    batch_tokens: int = 2000
    skip_trials: int = 20
    """Skip sets that are tried for method "layer-skip"; 0 leaves the method out."""
    batch_sizes: tuple[int, ...] = (1, 8, 32)
    """Of the report."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.minutes > 0.0:
            raise UserError(f"--minutes {self.minutes:g}: must be above 0")
        if self.steps is not None and self.steps < 1:
            raise UserError(f"--steps {self.steps}: must be 1 or more")
        if self.utterances < 1:
            raise UserError(f"--utterances {self.utterances}: must be 1 or more")
        for kind in self.heads or ():
            if kind not in _SHAPES:
                raise UserError(f"--heads {kind}: unknown; choose among {', '.join(_SHAPES)}")


@dataclass(frozen=True)
class HeadRun:
    """Heads that are trained together: they share the passes of the decoder under them."""

    name: str
    heads: dict[str, dict[str, Any]]
    """Shapes by kind."""
    learning_rate: float
    positions: float
    share: float
    """Of the whole time."""


def _late(config: TextToSemanticConfig) -> int:
    """The layer, from 0, whose view of the text serves heads best: three quarters up (docs/training.md)."""
    return min(config.decoder_layers - 1, int(0.75 * config.decoder_layers))


def _recurrent(config: TextToSemanticConfig) -> dict[str, Any]:
    return {"horizon": 8, "inner": _INNER_SHARE * config.dim, "memory_layer": _late(config)}


def _prophet(config: TextToSemanticConfig) -> dict[str, Any]:
    return {"horizon": 6, "ff_inner": 2 * config.dim, "memory_layer": _late(config)}


def _early_exit(config: TextToSemanticConfig) -> dict[str, Any]:
    exit_layer = max(1, config.decoder_layers // 8)
    return {"exit_layer": exit_layer, "ff_inner": 2 * config.dim, "memory_layer": _late(config)}


def _parallel(config: TextToSemanticConfig) -> dict[str, Any]:
    return {"horizon": 4}


_SHAPES: dict[str, Callable[[TextToSemanticConfig], dict[str, Any]]] = {
    "recurrent": _recurrent,
    "prophet": _prophet,
    "early-exit": _early_exit,
    "medusa": _parallel,
    "prophet-linear": _parallel,
}


def head_runs(plan: AcceleratePlan, config: TextToSemanticConfig, present: Collection[str]) -> list[HeadRun]:
    """The recurrent head by itself, which takes more positions and a higher learning rate; then all others at once.

    present: kinds that the voice has. An early exit needs a layer to exit before the last.
    """
    chosen = plan.heads if plan.heads is not None else [kind for kind in _USUAL if kind not in present]
    wanted = [kind for kind in dict.fromkeys(chosen) if kind != "early-exit" or config.decoder_layers > 1]
    shapes = {kind: _SHAPES[kind](config) for kind in wanted}
    alone = {kind: shape for kind, shape in shapes.items() if kind == "recurrent"}
    others = {kind: shape for kind, shape in shapes.items() if kind != "recurrent"}
    runs = []
    if alone:
        runs.append(HeadRun("recurrent", alone, 0.002, 0.4, 0.35 if others else 0.5))
    if others:
        runs.append(HeadRun("others", others, 0.0015, 0.25, 0.17 if alone else 0.5))
    return runs
