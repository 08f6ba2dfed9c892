"""What `accelerate` is allowed to do, and the shapes that it gives to heads. Knows sizes and shares of time only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from spear_accel.errors import UserError
from spear_accel.heads import HeadSpec, find_head, head_kinds
from spear_accel.model import TextToSemanticConfig

__all__ = ["AcceleratePlan", "HeadRun", "head_runs"]

# Shares of the time: the rest is for measuring.
SAMPLING, SEARCHING = 0.25, 0.03
FEWEST_STEPS, MOST_STEPS = 50, 8000
_ALONE_SHARE, _OTHERS_SHARE, _ONLY_SHARE = 0.35, 0.17, 0.5
"""Of heads that train by themselves beside others, of those others, and of either where there are no others."""


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
    """Training steps of each run; by default as many as fit into `minutes`."""
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
            find_head(kind, "--heads")


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


def head_runs(plan: AcceleratePlan, config: TextToSemanticConfig, present: Collection[str]) -> list[HeadRun]:
    """Heads whose training differs from that of the others, each by itself; then all others at once.

    Args:
        plan: Names the kinds, or leaves them to this function: every usual one that is not present.
        config: Of the target; kinds that need more layers than it has are left out.
        present: Kinds that the voice has.
    """
    usual = [kind for kind in head_kinds() if find_head(kind).by_default and kind not in present]
    chosen = dict.fromkeys(plan.heads if plan.heads is not None else usual)
    specs = [spec for spec in map(find_head, chosen) if config.decoder_layers >= spec.least_layers]
    alone, others = [spec for spec in specs if spec.alone], [spec for spec in specs if not spec.alone]
    share = (_ALONE_SHARE if others else _ONLY_SHARE) / max(1, len(alone))
    runs = [_run(spec.kind, [spec], config, share) for spec in alone]
    return [*runs, _run("others", others, config, _OTHERS_SHARE if alone else _ONLY_SHARE)] if others else runs


def _run(name: str, specs: Sequence[HeadSpec], config: TextToSemanticConfig, share: float) -> HeadRun:
    """Heads that are trained together take the settings of the first."""
    shapes = {spec.kind: spec.default_shape(config) for spec in specs}
    return HeadRun(name, shapes, specs[0].learning_rate, specs[0].positions, share)
