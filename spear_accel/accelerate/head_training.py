"""Sampling and training inside a budget of time. How to sample and how to train is `spear_accel.training`'s."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import torch

from spear_accel.accelerate.plan import FEWEST_STEPS, MOST_STEPS, AcceleratePlan, HeadRun
from spear_accel.accelerate.state import JobState
from spear_accel.accelerate.texts import Texts
from spear_accel.kernels.projection import drafting_dtype
from spear_accel.training.heads.config import HeadOptions
from spear_accel.training.heads.losses import HeadLoss
from spear_accel.training.heads.on_policy import OnPolicySettings, on_policy_records
from spear_accel.training.heads.task import DraftHeadTask, HeadRecords
from spear_accel.training.heads.train import folder_config, new_heads
from spear_accel.training.loop.config import LoopConfig, Precision
from spear_accel.training.loop.trainer import run, seconds_per_step
from spear_accel.voice.voice import Voice

__all__ = ["own_speech", "train_heads"]

_CHUNK = 256
"""Utterances after which the clock is looked at."""
_PROBED = 4
"""Steps by which the time of one is measured, after one that warms up."""
_VALIDATION = 1.1
"""Factor on the time of the steps: validations and checkpoints come on top."""


def own_speech(
    voice: Voice, texts: Texts, plan: AcceleratePlan, folder: Path, state: JobState, seconds: float
) -> HeadRecords:
    """What the model says of the training texts, until the time is up, and of the texts held back."""
    temperature = voice.defaults.temperature
    settings = OnPolicySettings(str(folder), temperature=temperature, seed=plan.seed)
    held = on_policy_records(voice.model, texts.held, settings, folder / "validation.jsonl", len(texts.held))
    path, count = folder / "training.jsonl", state.decided("utterances")
    if count is not None:
        records = on_policy_records(voice.model, texts.training, settings, path, count)
        return HeadRecords(records, held, temperature)
    ends = time.monotonic() + seconds - state.seconds.get("sample", 0.0)
    records = on_policy_records(voice.model, texts.training, settings, path, min(_CHUNK, plan.utterances))
    while len(records) < plan.utterances and time.monotonic() < ends:
        wanted = min(plan.utterances, len(records) + _CHUNK)
        records = on_policy_records(voice.model, texts.training, settings, path, wanted)
    state.decide("utterances", len(records))
    return HeadRecords(records, held, temperature)


def train_heads(
    voice: Voice, heads: HeadRun, records: HeadRecords, plan: AcceleratePlan, folder: Path, state: JobState,
    seconds: float,
) -> None:  # fmt: skip
    """Trains the heads of a run in `folder`, for as many steps as fit into `seconds`; goes on with the steps of an
    earlier start."""
    torch.manual_seed(plan.seed)
    built = new_heads(heads.heads, voice.model, 0.0, "accelerate")
    task = DraftHeadTask(
        _options(voice, heads, plan), voice.model, built, {kind: HeadLoss() for kind in built}, records
    )
    steps = state.decided(f"steps {heads.name}")
    if steps is None:
        steps = plan.steps or _fitting_steps(task, heads, plan, seconds)
        state.decide(f"steps {heads.name}", steps)
    run(task, _loop(heads, steps, plan), folder, folder_config(voice.model, built, joint=False), asdict(plan))


def _options(voice: Voice, heads: HeadRun, plan: AcceleratePlan) -> HeadOptions:
    temperature = voice.defaults.temperature or 0.7
    return HeadOptions(distill_temperature=temperature, batch_tokens=plan.batch_tokens, positions=heads.positions)


def _loop(heads: HeadRun, steps: int, plan: AcceleratePlan) -> LoopConfig:
    each = max(1, min(250, steps // 4))
    return LoopConfig(
        steps=steps, learning_rate=heads.learning_rate, warmup_steps=min(50, steps // 4), precision=_precision(),
        average=0.998, validate_every=each, save_every=each, seed=plan.seed,
    )  # fmt: skip


def _precision() -> Precision:
    """bfloat16 where the processor multiplies it."""
    return "bf16" if drafting_dtype("cpu", torch.float32) is torch.bfloat16 else "auto"


def _fitting_steps(task: DraftHeadTask, heads: HeadRun, plan: AcceleratePlan, seconds: float) -> int:
    """How many steps fit into `seconds`, by the time of a few."""
    each = seconds_per_step(task, _loop(heads, FEWEST_STEPS, plan), _PROBED)
    return max(FEWEST_STEPS, min(MOST_STEPS, int(seconds / (_VALIDATION * each))))
