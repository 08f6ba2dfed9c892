"""The training loop: it learns, resumes exactly, averages, and tells faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spear_accel
from spear_accel.data.batching import shuffled_batches
from spear_accel.errors import UserError
from spear_accel.storage.files import read_json
from spear_accel.training.loop.config import LoopConfig, learning_rate_scale
from spear_accel.training.loop.trainer import load_modules, run, seconds_per_step

CONFIG = LoopConfig(
    steps=12, learning_rate=0.05, warmup_steps=2, validate_every=6, save_every=4, log_every=3, average=0.9,
    precision="no",
)  # fmt: skip


class Line:
    """Fits y = 2x + 1 with noise and dropout from torch's generator; two modules, to update in turn."""

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.modules: dict[str, nn.Module] = {
            "first": nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.Linear(8, 1)),
            "second": nn.Linear(1, 1),
        }
        self.stop_at, self.taken = stop_at, 0

    def dataset(self) -> Sequence[Any]:
        return [(x / 10, 2 * x / 10 + 1) for x in range(-10, 10)]

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        return shuffled_batches(20, 4, number=number, seed=seed)

    def collate(self, examples: list[Any]) -> dict[str, Tensor]:
        x, y = torch.tensor(examples).unsqueeze(-1).unbind(1)
        return {"x": x + 0.01 * torch.randn(x.shape), "y": y}

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        if self.taken == self.stop_at:
            raise KeyboardInterrupt
        self.taken += 1
        for name, module in modules.items():
            loss = (module(batch["x"]) - batch["y"]).square().mean()
            yield name, loss, {f"{name}/loss": float(loss.detach())}

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        x = torch.linspace(-1, 1, 21).unsqueeze(1)
        return {name: float((m(x) - 2 * x - 1).square().mean()) for name, m in modules.items()}


def test_learns(tmp_path: Path) -> None:
    metrics = run(Line(), replace(CONFIG, steps=200), tmp_path)
    assert metrics["second"] < 0.05


def test_a_killed_run_resumes_exactly(tmp_path: Path) -> None:
    whole, cut = Line(), Line(stop_at=10)
    run(whole, CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(cut, CONFIG, tmp_path / "cut")
    resumed = Line()
    run(resumed, CONFIG, tmp_path / "cut")
    assert resumed.taken == 4  # the checkpoint of step 8 was the last
    one, other = load_modules(tmp_path / "whole"), load_modules(tmp_path / "cut")
    for name in one:
        for key in one[name]:
            assert torch.equal(one[name][key], other[name][key]), (name, key)
    assert steps(tmp_path / "whole") == steps(tmp_path / "cut")


def steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_kill_while_saving_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(Line(), replace(CONFIG, steps=4), tmp_path)
    before = load_modules(tmp_path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        run(Line(), CONFIG, tmp_path)
    after = load_modules(tmp_path)
    assert torch.equal(before["second"]["weight"], after["second"]["weight"])
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["checkpoint"]


def test_a_kill_between_the_two_renames_goes_on_from_the_old_checkpoint(tmp_path: Path) -> None:
    run(Line(), replace(CONFIG, steps=4), tmp_path)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.previous")
    resumed = Line()
    run(resumed, CONFIG, tmp_path)
    assert resumed.taken == 8
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["checkpoint"]


def test_finished_runs_only_validate(tmp_path: Path) -> None:
    run(Line(), CONFIG, tmp_path)
    again = Line()
    run(again, CONFIG, tmp_path)
    assert again.taken == 0


def test_averaged_weights_are_the_ones_loaded(tmp_path: Path) -> None:
    task = Line()
    run(task, CONFIG, tmp_path)
    averaged = load_modules(tmp_path)["second"]["weight"]
    assert not torch.equal(averaged, task.modules["second"].weight)
    run(Line(), replace(CONFIG, average=0.0), tmp_path / "plain")
    assert torch.equal(load_modules(tmp_path / "plain")["second"]["weight"], task.modules["second"].weight)


def test_a_gradient_that_is_not_finite_is_left_out(tmp_path: Path) -> None:
    class Broken(Line):
        def losses(self, modules: Any, batch: Any) -> Any:
            for name, loss, metrics in super().losses(modules, batch):
                yield name, loss * (float("nan") if self.taken == 3 else 1.0), metrics

    run(Broken(), CONFIG, tmp_path)
    assert all(torch.isfinite(value).all() for state in load_modules(tmp_path).values() for value in state.values())


def test_learning_rate_warms_up_and_decays() -> None:
    config = LoopConfig(steps=100, learning_rate=1.0, warmup_steps=10, final_learning_rate_ratio=0.1)
    scales = [learning_rate_scale(config, step) for step in range(101)]
    assert scales[0] == pytest.approx(0.1)
    assert scales[9] == scales[10] == pytest.approx(1.0)
    assert scales[10:] == sorted(scales[10:], reverse=True)
    assert scales[100] == pytest.approx(0.1)


def test_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training checkpoint"):
        load_modules(tmp_path)
    run(Line(), CONFIG, tmp_path)
    other = Line()
    other.modules = {"third": nn.Linear(1, 1)}
    with pytest.raises(UserError, match="holds first, second"):
        run(other, CONFIG, tmp_path)
    wider = Line()
    wider.modules["second"] = nn.Linear(1, 2)
    with pytest.raises(UserError, match="does not fit"):
        run(wider, CONFIG, tmp_path)


def test_trackers(tmp_path: Path) -> None:
    run(Line(), replace(CONFIG, trackers=("tensorboard",)), tmp_path)
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the wandb tracker needs the extra train")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run(Line(), replace(CONFIG, trackers=("wandb",)), tmp_path / "run")
    assert list(tmp_path.rglob("*.wandb"))


def test_timing_steps_leaves_no_trace(tmp_path: Path) -> None:
    timed, fresh = Line(), Line()
    assert seconds_per_step(timed, CONFIG, 3) > 0.0
    for name, module in timed.modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, fresh.modules[name].state_dict()[key])
    run(timed, CONFIG, tmp_path / "timed")
    run(fresh, CONFIG, tmp_path / "fresh")
    one, other = load_modules(tmp_path / "timed"), load_modules(tmp_path / "fresh")
    assert all(torch.equal(one[name][key], other[name][key]) for name in one for key in one[name])


def test_a_checkpoint_says_what_made_it(tmp_path: Path) -> None:
    run(Line(), CONFIG, tmp_path, arguments={"output": str(tmp_path / "deep" / "run"), "loop": {"steps": 12}})
    made = read_json(tmp_path / "checkpoint" / "progress.json")["provenance"]
    assert made["version"] == spear_accel.__version__
    assert made["arguments"] == {"output": "run", "loop": {"steps": 12}}
    assert str(tmp_path) not in (tmp_path / "checkpoint" / "progress.json").read_text()
