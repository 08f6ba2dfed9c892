"""Sampling and training inside a budget of time. How to sample and how to train is `spear_accel.training`'s."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spear_accel.accelerate.plan import FEWEST_STEPS, MOST_STEPS, AcceleratePlan, HeadRun
from spear_accel.accelerate.state import JobState
from spear_accel.accelerate.texts import Texts
from spear_accel.heads import build_head, head_config
from spear_accel.kernels.projection import drafting_dtype
from spear_accel.training.heads.config import DraftHeadTraining
from spear_accel.training.heads.losses import HeadLoss
from spear_accel.training.heads.on_policy import SampleSettings, own_samples
from spear_accel.training.heads.task import NAME, DraftHeadTask
from spear_accel.training.loop.trainer import LoopConfig, run
from spear_accel.voice.voice import Voice

__all__ = ["own_speech", "train_heads"]

Records = list[dict[str, Any]]
_CHUNK = 256
"""Utterances after which the clock is looked at."""
_PROBED = 4
"""Steps by which the time of one is measured, after one that warms up."""


def own_speech(
    voice: Voice, texts: Texts, plan: AcceleratePlan, folder: Path, state: JobState, seconds: float
) -> tuple[Records, Records]:
    """What the model says of the training texts, until the time is up, and of the texts held back."""
    settings = SampleSettings(str(folder), temperature=voice.defaults.temperature, seed=plan.seed)
    held = own_samples(voice.model, texts.held, settings, folder / "validation.jsonl", len(texts.held))
    path, count = folder / "training.jsonl", state.decided("utterances")
    if count is not None:
        return own_samples(voice.model, texts.training, settings, path, count), held
    ends = time.monotonic() + seconds - state.seconds.get("sample", 0.0)
    records = own_samples(voice.model, texts.training, settings, path, min(_CHUNK, plan.utterances))
    while len(records) < plan.utterances and time.monotonic() < ends:
        wanted = min(plan.utterances, len(records) + _CHUNK)
        records = own_samples(voice.model, texts.training, settings, path, wanted)
    state.decide("utterances", len(records))
    return records, held


def train_heads(
    voice: Voice, heads: HeadRun, records: tuple[Records, Records], plan: AcceleratePlan, folder: Path,
    state: JobState, seconds: float,
) -> None:  # fmt: skip
    """Train the heads of a run in `folder`, for as many steps as fit into `seconds`; goes on with the steps of an
    earlier start."""
    task = _task(voice, heads, records, plan)
    steps = state.decided(f"steps {heads.name}")
    if steps is None:
        steps = plan.steps or _fitting_steps(task, heads, plan, seconds)
        state.decide(f"steps {heads.name}", steps)
    built: Mapping[str, nn.Module] = dict(task.modules[NAME].heads.items())  # type: ignore[union-attr, operator]
    shape = {
        "trunk": voice.model.config.to_dict(), "joint": False,
        "heads": {kind: head_config(head) for kind, head in built.items()},
    }  # fmt: skip
    run(task, _loop(heads, steps, plan), folder, shape)


def _task(voice: Voice, heads: HeadRun, records: tuple[Records, Records], plan: AcceleratePlan) -> DraftHeadTask:
    temperature = voice.defaults.temperature
    config = DraftHeadTraining(
        trunk=voice.card.name, validation="held back", sources=("own samples",), targets="samples",
        samples=SampleSettings("samples", temperature=temperature), distill_temperature=temperature or 0.7,
        batch_tokens=plan.batch_tokens, positions=heads.positions, dropout=0.0,
    )  # fmt: skip
    torch.manual_seed(plan.seed)
    target = replace(voice.model.config, dropout=0.0)
    built: dict[str, nn.Module] = {}
    for kind, shape in heads.heads.items():
        built[kind] = build_head(kind, shape, target)
        built[kind].init_from_embedding(voice.model.decoder.embedding.weight.detach())  # type: ignore[operator]
    return DraftHeadTask(config, voice.model, built, {kind: HeadLoss() for kind in built}, *records)


def _loop(heads: HeadRun, steps: int, plan: AcceleratePlan) -> LoopConfig:
    each = max(1, min(250, steps // 4))
    return LoopConfig(
        steps=steps, learning_rate=heads.learning_rate, warmup_steps=min(50, steps // 4), precision=_precision(),
        average=0.998, validate_every=each, save_every=each, seed=plan.seed,
    )  # fmt: skip


def _precision() -> str:
    """bfloat16 where the processor multiplies it."""
    return "bf16" if drafting_dtype("cpu", torch.float32) is torch.bfloat16 else "auto"


def _fitting_steps(task: DraftHeadTask, heads: HeadRun, plan: AcceleratePlan, seconds: float) -> int:
    """How many steps fit, by the time of a few on the first batches; the task is as before afterwards."""
    examples, times = task.dataset(), []
    for indices in task.epoch(0, plan.seed)[: _PROBED + 1]:
        started = time.monotonic()
        with torch.autocast("cpu", torch.bfloat16, enabled=_precision() == "bf16"):
            for _, loss, _ in task.losses(task.modules, task.collate([examples[index] for index in indices])):
                loss.backward()  # type: ignore[no-untyped-call]
        times.append(time.monotonic() - started)
    task.modules[NAME].zero_grad(set_to_none=True)
    each = sum(times[1:] or times) / len(times[1:] or times)
    # The update itself and the validations come on top.
    return max(FEWEST_STEPS, min(MOST_STEPS, int(seconds / (1.15 * each))))
