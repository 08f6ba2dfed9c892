"""The one training loop: batches in, updated weights, a log and resumable checkpoints out.

Knows optimisation, schedules, devices and files. Does not know what is trained: a `Task` brings the modules, the
examples and the losses. Runs on one CPU, one GPU or, started by `accelerate launch`, on many.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.provenance import provenance
from spear_accel.storage.weights import CONFIG
from spear_accel.training.loop import checkpoints
from spear_accel.training.loop.config import LoopConfig, Precision, learning_rate_scale
from spear_accel.training.loop.log import MetricLog

__all__ = ["Task", "load_modules", "run", "seconds_per_step"]

load_modules = checkpoints.load_modules

LOG = "log.jsonl"
_LEFT_OUT = 1
"""Steps that warm up before steps are timed."""


class Task(Protocol):
    """What is trained: modules, examples and losses."""

    modules: dict[str, nn.Module]
    """The modules by name; each is updated by an AdamW of its own."""

    def dataset(self) -> Sequence[Any]:
        """Examples by index. May draw from torch's generator: it is seeded anew for every step."""

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        """Batches of example indices, a pure function of the arguments."""

    def collate(self, examples: list[Any]) -> Any:
        """Put examples together to one batch: tensors in dicts, lists or tuples."""

    def losses(self, modules: dict[str, nn.Module], batch: Any) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Yield `(name of the module to update, loss, metrics)`; the module is updated before the next yield."""

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        """Metrics on held-out data; called without gradients and in evaluation mode."""


def run(
    task: Task,
    config: LoopConfig,
    folder: Path,
    shape: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Trains `task` until `config.steps`, going on from the newest checkpoint in `folder` if there is one.

    A run that was killed and started again takes the same steps on the same batches with the same random numbers as
    one that was not.

    Args:
        task: What is trained.
        config: How.
        folder: Gets `checkpoint/` (weights, averaged weights, optimiser state) and `log.jsonl`.
        shape: What loading the weights again needs to know; it is written to `config.json` of the folder as soon as
            an older checkpoint is known to fit.
        arguments: The settings of the run, for the provenance in checkpoints; those of the loop if None.

    Returns:
        The metrics of the last validation.

    Raises:
        UserError: The task has no batches, or the checkpoint in `folder` belongs to other modules.
    """
    files.make_folder(folder, "choose another output folder")
    trainer = _Trainer(task, config, folder, provenance(arguments or {"loop": asdict(config)}))
    if shape is not None and trainer.accelerator.is_main_process:
        files.write_json(folder / CONFIG, dict(shape))
    try:
        return trainer.train()
    finally:
        trainer.accelerator.end_training()


def seconds_per_step(task: Task, config: LoopConfig, steps: int) -> float:
    """How long a training step takes, measured on the first batches; the task is as before afterwards.

    Args:
        task: What will be trained.
        config: How; its steps are not looked at.
        steps: Steps to time, after one that warms up.
    """
    kept = {name: copy.deepcopy(module.state_dict()) for name, module in task.modules.items()}
    timed = replace(config, steps=_LEFT_OUT + steps, trackers=())
    try:
        with TemporaryDirectory() as folder:
            return _Trainer(task, timed, Path(folder), {}).timed(_LEFT_OUT)
    finally:
        for name, module in task.modules.items():
            module.load_state_dict(kept[name])
            module.zero_grad(set_to_none=True)


class _Trainer:
    """The state of one run: wrapped modules, their optimisers, their averages, and the step reached."""

    def __init__(self, task: Task, config: LoopConfig, folder: Path, provenance: Mapping[str, Any]) -> None:
        self.task, self.config, self.folder, self.provenance = task, config, folder, provenance
        # Said aloud, or several processes on a machine without a GPU would not find each other.
        cpu = not torch.accelerator.is_available()
        self.accelerator = Accelerator(
            cpu=cpu, mixed_precision=_precision(config.precision), log_with=list(config.trackers) or None,
            project_dir=folder,
        )  # fmt: skip
        optimisers = {name: _adamw(module, config) for name, module in task.modules.items()}
        self.modules = {name: self.accelerator.prepare(module) for name, module in task.modules.items()}
        self.optimisers = {name: self.accelerator.prepare(optimiser) for name, optimiser in optimisers.items()}
        self.averages = {
            name: AveragedModel(module, multi_avg_fn=_average(config.average)) for name, module in self.plain.items()
        } if config.average else {}  # fmt: skip
        self.step = checkpoints.restore(folder, self.plain, self.optimisers, self.averages)
        self.log = self._open_log()

    @property
    def plain(self) -> dict[str, nn.Module]:
        """The modules without their distributed wrappers."""
        return {name: self.accelerator.unwrap_model(module) for name, module in self.modules.items()}

    def _open_log(self) -> MetricLog:
        if self.config.trackers:
            plain = {key: value for key, value in asdict(self.config).items() if isinstance(value, int | float | str)}
            self.accelerator.init_trackers(self.folder.name, config=plain)
        path = self.folder / LOG if self.accelerator.is_main_process else None
        return MetricLog(path, self.step, self.config.log_every, self.accelerator.log)

    def train(self) -> dict[str, float]:
        metrics: dict[str, float] = {}
        dataset = self.task.dataset()
        bar = tqdm(
            total=self.config.steps, initial=self.step, desc=self.folder.name, mininterval=2.0,
            # None: no bar where standard error is no terminal, so that logs hold lines alone.
            disable=None if self.accelerator.is_main_process else True,
        )  # fmt: skip
        for indices in self._batches():
            self._take(dataset, indices)
            bar.update()
            last = self.step == self.config.steps
            if last or self.step % self.config.validate_every == 0:
                metrics = self._validate()
            if last or self.step % self.config.save_every == 0:
                self._save()
        bar.close()
        return metrics or self._validate()

    def timed(self, left_out: int) -> float:
        """Trains as `train`, without validation and files; the mean seconds of the steps after the first `left_out`."""
        dataset, seconds = self.task.dataset(), []
        for indices in self._batches():
            started = time.perf_counter()
            self._take(dataset, indices)
            seconds.append(time.perf_counter() - started)
        return sum(seconds[left_out:]) / len(seconds[left_out:])

    def _take(self, dataset: Sequence[Any], indices: Sequence[int]) -> None:
        """One step on the examples of these indices."""
        self._seed()
        batch = send_to_device(self.task.collate([dataset[i] for i in indices]), self.accelerator.device)
        self._update(batch)
        self.step += 1

    def _batches(self) -> Iterator[list[int]]:
        """This process's batches from the step reached on; whole epochs are counted off, not replayed."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        number, skip = 0, self.step
        while self.step < self.config.steps:
            batches = self.task.epoch(number, self.config.seed)
            batches = batches[: len(batches) // world * world][rank::world]
            if not batches:
                raise UserError("the training data hold too few examples for one batch; add data or lower the batch")
            for batch in batches[skip:]:
                if self.step >= self.config.steps:
                    return
                yield batch
            number, skip = number + 1, max(0, skip - len(batches))

    def _seed(self) -> None:
        """Random numbers depend on (seed, step, process) alone, so a resumed run draws what the unbroken one drew."""
        torch.manual_seed((self.config.seed * 1_000_003 + self.step) * 1_009 + self.accelerator.process_index)

    def _update(self, batch: Any) -> None:
        started = time.perf_counter()
        scale = learning_rate_scale(self.config, self.step)
        logged: dict[str, float] = {}
        for module in self.modules.values():
            module.train()
        with self.accelerator.autocast():
            for name, loss, metrics in self.task.losses(self.modules, batch):
                # An adversarial loss reaches into the other network too, so every gradient starts from nothing.
                for optimiser in self.optimisers.values():
                    optimiser.zero_grad()
                norm = self._step(name, loss, scale)
                logged |= metrics | {f"{name}/gradient_norm": norm}
        logged |= {"learning_rate": self.config.learning_rate * scale, "seconds": time.perf_counter() - started}
        self.log.add(self.step + 1, logged)

    def _step(self, name: str, loss: Tensor, scale: float) -> float:
        """Backward, clip and update one module; a step with a gradient that is not finite is left out."""
        module, optimiser = self.modules[name], self.optimisers[name]
        self.accelerator.backward(loss)
        norm = float(self.accelerator.clip_grad_norm_(module.parameters(), self.config.gradient_clip))
        if not math.isfinite(norm):
            return norm
        for group in optimiser.param_groups:
            group["lr"] = self.config.learning_rate * scale
        optimiser.step()
        if name in self.averages:
            self.averages[name].update_parameters(self.accelerator.unwrap_model(module))
        return norm

    def _validate(self) -> dict[str, float]:
        modules = {name: self._best(name) for name in self.modules}
        for module in modules.values():
            module.eval()
        torch.manual_seed(self.config.seed)
        with torch.no_grad():
            metrics = self.task.validate(modules)
        self.log.write(self.step, {f"validation/{key}": value for key, value in metrics.items()})
        return metrics

    def _best(self, name: str) -> nn.Module:
        averaged = self.averages.get(name)
        return averaged.module if averaged is not None else self.accelerator.unwrap_model(self.modules[name])

    def _save(self) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            progress = {"step": self.step, "provenance": self.provenance}
            checkpoints.save(self.folder, progress, self.plain, self.optimisers, self.averages)
        self.accelerator.wait_for_everyone()


def _adamw(module: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices only: decay on norms, biases and single vectors just shrinks the signal."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)


def _average(decay: float) -> Any:
    """Moving average whose window grows with the number of updates, so that the random start is soon forgotten."""

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        weight = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(list(averaged), list(current), 1 - weight)

    return update


def _precision(wanted: Precision) -> str:
    if wanted != "auto":
        return wanted
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
