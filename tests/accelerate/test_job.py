"""A tiny voice made "fast" in a few steps: what is written, that it can be broken off anywhere, and what is refused."""

from __future__ import annotations

import errno
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spear_accel import DecodeOptions, Voice
from spear_accel.accelerate import AcceleratePlan, accelerate, head_training, job
from spear_accel.accelerate.costs import TunePlan
from spear_accel.accelerate.head_choice import HeadChoice
from spear_accel.accelerate.plan import head_runs
from spear_accel.accelerate.state import JobState
from spear_accel.bench.speed import AUTOREGRESSIVE
from spear_accel.errors import UserError
from spear_accel.training.heads import on_policy
from spear_accel.training.heads.task import DraftHeadTask, HeadRecords
from spear_accel.training.loop.config import LoopConfig
from spear_accel.voice.components import load_decoding_defaults, save_decoding_defaults
from spear_accel.voice.folder import open_voice, seal

PLAN = AcceleratePlan(steps=4, utterances=20, batch_sizes=(1, 2), skip_trials=2, batch_tokens=300)
ONE_HEAD = replace(PLAN, heads=("medusa",))
ARTEFACTS = ("draft_heads/recurrent/config.json", "draft_heads/prophet/config.json", "draft_heads/medusa/config.json",
             "draft_heads/early-exit/config.json", "decoding.json")  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuning looks at few drafts: how it measures is tested in tests/bench."""
    small = TunePlan(rows=(1, 2), longest=2, candidates=1, tokens=30, utterances=2, repeats=1)
    monkeypatch.setattr(job, "TunePlan", lambda **_: small)


@pytest.fixture
def lines(sentences: tuple[str, ...]) -> list[str]:
    generator = random.Random(2)
    words = " ".join(sentences).replace("?", "").split()
    return [" ".join(generator.sample(words, 4)) for _ in range(14)]


@pytest.fixture
def voice(tiny_voice: Path) -> Path:
    """Its untrained model finds all tokens alike, EOS among them; a cap keeps its utterances short."""
    (tiny_voice / "decoding.json").write_text(json.dumps({"max_tokens": 12}))
    seal(tiny_voice, open_voice(tiny_voice).card)
    return tiny_voice


def stop(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that only measure or draw come to nothing at once; `test_heads_tuning_and_report_are_written` runs them."""

    def tuned(folder: Path, *_: Any) -> Voice:
        save_decoding_defaults(folder, {**load_decoding_defaults(open_voice(folder)), "method": "auto"})
        seal(folder, open_voice(folder).card)
        return Voice.load(folder)

    monkeypatch.setattr(job, "tune_voice", tuned)
    monkeypatch.setattr(job, "make_cases", lambda *_: [])
    monkeypatch.setattr(job, "write_report", lambda report, folder: folder.mkdir(parents=True, exist_ok=True))


def run(voice: Path, lines: list[str], plan: AcceleratePlan = PLAN) -> list[Any]:
    work = voice.with_name("work")
    return accelerate(str(voice), lines, plan, work, work / "report", "lines.txt", say=lambda _: None)


def test_heads_tuning_and_report_are_written(voice: Path, lines: list[str]) -> None:
    options = DecodeOptions(method="autoregressive", max_tokens=20, loop_retries=0)
    before = Voice.load(voice).text_to_semantic(lines[:3], options).tokens
    records = run(voice, lines)
    card = open_voice(voice).card
    assert set(ARTEFACTS) <= set(card.files)
    fast = Voice.load(voice)
    assert {"recurrent", "prophet", "early-exit", "medusa", "layer-skip"} <= set(fast.methods)
    for method in fast.methods:
        chosen = DecodeOptions(method=method, max_tokens=20, loop_retries=0)
        assert all(map(torch.equal, fast.text_to_semantic(lines[:3], chosen).tokens, before))
    assert all(record.identical_to_autoregressive for record in records)
    report = voice.with_name("work") / "report"
    assert (report / "report.png").read_bytes().startswith(b"\x89PNG")
    text = (report / "report.md").read_text()
    for part in ("**Speed**", "## Exactness", "## What was tried", "Minutes by step", "recurrent", "rejected"):
        assert part in text, part
    told = json.loads((report / "report.json").read_text())
    assert {record["batch_size"] for record in told["records"]} == {1, 2}
    assert not list(voice.parent.glob("*.part")) and not list(voice.parent.glob("*.previous"))


@pytest.mark.parametrize(
    "step", ["own_speech", "train_heads", "find_skip_set", "tune_voice", "make_cases", "write_report"]
)
def test_broken_off_at_any_step_it_goes_on(
    voice: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch, unmeasured: None, step: str
) -> None:
    """The voice is as it was until all is done; samples and finished training are not made again."""
    sealed = (voice / "voice.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(job, step, stop)
        with pytest.raises(KeyboardInterrupt):
            run(voice, lines, ONE_HEAD)
    assert (voice / "voice.json").read_bytes() == sealed
    open_voice(voice).verify()
    samples = voice.with_name("work") / "samples" / "training.jsonl"
    spoken = samples.read_bytes() if samples.exists() else None
    run(voice, lines, ONE_HEAD)
    assert {"draft_heads/medusa/config.json", "decoding.json"} <= set(open_voice(voice).card.files)
    assert "layer-skip" in Voice.load(voice).methods, "the skip set is kept"
    assert spoken is None or samples.read_bytes() == spoken


def test_a_full_disk_while_sampling(
    voice: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch, unmeasured: None
) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if path.name == "training.jsonl" and mode == "ab":
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(on_policy.Path, "open", full)
        with pytest.raises(UserError, match=r"No space left on device.*rerun the same command"):
            run(voice, lines, ONE_HEAD)
    run(voice, lines, ONE_HEAD)
    assert "medusa" in Voice.load(voice).methods


def test_what_cannot_be_accelerated(voice: Path, lines: list[str]) -> None:
    with pytest.raises(UserError, match=r"lines\.txt: no line can be used \(it is empty\)"):
        run(voice, ["", "  "])
    with pytest.raises(UserError, match=r"lines\.txt: no line can be used \(nothing in the text"):
        run(voice, ["...", "\u4f60\u597d"])
    with pytest.raises(UserError, match="--heads: kind 'dragon' is unknown"):
        AcceleratePlan(heads=("dragon",))
    for wrong in ({"minutes": 0.0}, {"steps": 0}, {"utterances": 0}):
        with pytest.raises(UserError, match=f"--{next(iter(wrong))}"):
            AcceleratePlan(**wrong)  # type: ignore[arg-type]


def test_another_job_in_the_same_folder_is_refused(
    voice: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "train_heads", stop)
    with pytest.raises(KeyboardInterrupt):
        run(voice, lines)
    with pytest.raises(UserError, match="holds work with another text"):
        run(voice, lines[:-1])


def test_heads_that_the_voice_has_are_not_trained_again() -> None:
    config = Voice.load("kathleen").model.config
    assert head_runs(PLAN, config, ("recurrent", "prophet", "early-exit", "medusa")) == []
    assert [run.name for run in head_runs(PLAN, config, ("recurrent",))] == ["others"]
    asked = head_runs(AcceleratePlan(heads=("recurrent",)), config, ("recurrent",))
    assert [list(run.heads) for run in asked] == [["recurrent"]]


@pytest.mark.parametrize("better", [False, True])
def test_a_good_head_is_not_replaced_by_a_worse_one(
    voice: Path, lines: list[str], unmeasured: None, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    run(voice, lines, ONE_HEAD)
    own = "draft_heads/medusa/model.safetensors"
    before = (voice / own).read_bytes()
    choice = HeadChoice(before=2.0, after=2.5 if better else 1.5)
    monkeypatch.setattr(job, "choose_head", lambda *_: choice)
    told: list[str] = []
    work = voice.with_name("again")
    accelerate(str(voice), lines, replace(ONE_HEAD, seed=5), work, work / "report", "lines.txt", say=told.append)
    assert ((voice / own).read_bytes() != before) == better
    assert any(str(choice) in line for line in told)
    open_voice(voice)


def test_steps_fit_the_time(voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More time, more steps; never fewer than the least; and measuring a step leaves the heads as they were."""
    loaded = Voice.load(voice)
    records = [{"text_ids": [5, 6, 7], "tokens": [1, 2, 3, 4], "stop_reason": "eos", "seed": 0}] * 8
    heads = head_runs(PLAN, loaded.model.config, ())[0]
    begun: list[tuple[int, list[Tensor]]] = []

    def begin(task: DraftHeadTask, loop: LoopConfig, *_: Any) -> None:
        begun.append((loop.steps, [parameter.clone() for parameter in task.modules["draft_heads"].parameters()]))

    monkeypatch.setattr(head_training, "run", begin)
    for steps, seconds in ((None, 0.0), (None, 1e6), (7, 0.0)):
        folder = tmp_path / f"{steps} {seconds}"
        plan, state = replace(PLAN, steps=steps), JobState(folder, {})
        head_training.train_heads(loaded, heads, HeadRecords(records, records, 0.7), plan, folder, state, seconds)
        assert state.decided(f"steps {heads.name}") == begun[-1][0]
    assert [steps for steps, _ in begun] == [50, 8000, 7]
    assert all(all(map(torch.equal, weights, begun[-1][1])) for _, weights in begun)


def test_sampling_options_of_the_voice_stay_and_nothing_is_trained_twice(
    voice: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(job, "make_cases", lambda *_: [])
        patch.setattr(job, "write_report", lambda *_: None)
        run(voice, lines)
    monkeypatch.setattr(job, "make_cases", lambda *_: [AUTOREGRESSIVE])
    opened = open_voice(voice)
    decoding = json.loads((voice / "decoding.json").read_text())
    (voice / "decoding.json").write_text(json.dumps({**decoding, "top_p": 0.9}))
    seal(voice, opened.card)
    work = voice.with_name("again")
    accelerate(str(voice), lines, PLAN, work, work / "report", say=lambda _: None)
    assert Voice.load(voice).defaults.top_p == 0.9
    assert not (work / "samples").exists()
    assert "No head was trained" in (work / "report" / "report.md").read_text()
