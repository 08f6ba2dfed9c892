"""How long and how to optimise. Knows numbers only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from spear_accel.training.loop.settings import AtLeastOne, NotNegative, Positive, Share

__all__ = ["LoopConfig", "Precision", "learning_rate_scale"]

Precision = Literal["auto", "no", "bf16", "fp16"]


@dataclass(frozen=True)
class LoopConfig:
    """The `loop` section of a training run's settings."""

    steps: AtLeastOne
    learning_rate: NotNegative
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: NotNegative = 0.01
    warmup_steps: int = 200
    final_learning_rate_ratio: NotNegative = 0.05
    gradient_clip: Positive = 1.0
    log_every: AtLeastOne = 20
    validate_every: AtLeastOne = 500
    save_every: AtLeastOne = 500
    seed: int = 0
    precision: Precision = "auto"
    """"no" (float32), "bf16", "fp16", or "auto": bf16 on a GPU that has it, else float32."""
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """"tensorboard" and "wandb" (offline with WANDB_MODE=offline); a JSONL log is written always."""
    average: Share = 0.0
    """Decay of the exponential moving average of the weights; 0 keeps none."""


def learning_rate_scale(config: LoopConfig, step: int) -> float:
    """Factor on the learning rate at `step`: linear warm-up, then a half cosine down to the final ratio."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    floor = config.final_learning_rate_ratio
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
