"""The worked example of docs/add_a_drafter.md, run as it stands there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from spear_accel.accelerate.costs import TunePlan, measure_costs
from spear_accel.accelerate.plan import AcceleratePlan, head_runs
from spear_accel.cli.main import run as command
from spear_accel.decoding import DecodeOptions, DecodeResult, Engine
from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.dynamic import DynamicTreeController
from spear_accel.decoding.control.toggle import SpeculationToggle
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.registry import find_rule, method_names, rule_names
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.heads import build_head, head_config, trunk_pass
from spear_accel.model import TextToSemantic
from spear_accel.voice.components import load_heads, load_text_to_semantic, save_head
from spear_accel.voice.folder import open_voice, seal
from tests.decoding.drafters import GUARDS, rows
from tests.plugins import install

PAGE = (Path(__file__).parents[2] / "docs" / "add_a_drafter.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = [block for block in BLOCKS if block not in FILES.values()]
Autoregressive = Callable[..., DecodeResult]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = ConfigParser()
    project.read_string(FILES["pyproject.toml"])
    groups = {name.split('"')[1]: project[name] for name in project.sections() if name.startswith("project.entry")}
    entries = {group: {name: value.strip('"') for name, value in section.items()} for group, section in groups.items()}
    install(tmp_path / "site", monkeypatch, FILES, entries)


@pytest.fixture
def head(model: TextToSemantic, texts: list[list[int]], autoregressive: Autoregressive) -> nn.Module:
    """A table of bigrams that has learned from what the model says of the texts."""
    torch.manual_seed(0)
    head = build_head("bigram", {"width": 16}, model.config)
    tokens = [row for row in autoregressive(seed=4).tokens if len(row)]
    text = model.pad_text(
        [[*ids, 2] for ids, row in zip(texts, autoregressive(seed=4).tokens, strict=True) if len(row)]
    )
    semantic = pad_sequence(tokens, True, model.config.semantic_pad_id)
    with torch.no_grad():
        trunk = trunk_pass(model, text, semantic)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    positions = torch.arange(semantic.shape[1])
    for _ in range(60):
        logits = head.forward_teacher_forced(trunk, positions)[:, :, 0]  # type: ignore[operator]
        loss = cross_entropy(logits.transpose(1, 2), semantic, ignore_index=model.config.semantic_pad_id)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in head.parameters())
    return head.requires_grad_(False)


def decode(model: TextToSemantic, drafting: Drafting, options: DecodeOptions, texts: list[list[int]]) -> DecodeResult:
    drafter, controller = drafting.prepare(model, drafting.resolve(options, len(texts)), options)
    return Engine(model, options, GUARDS, drafter, make_verifier(options), controller).decode(texts)


def test_the_page_has_what_is_tested_here() -> None:
    assert list(FILES) == ["pyproject.toml", "bigrams.py", "top_n.py"] and len(SCRIPTS) == 1
    assert method_names()[-1] == "bigram" and rule_names()[-1] == "top-n"


@pytest.mark.parametrize("fields", [
    {}, {"temperature": 0.0}, {"draft_length": 3, "batch_size": 3}, {"draft_length": 2, "candidates": 3},
    {"candidates": 2}, {"draft_exit": True, "batch_size": 1}, {"repetition_penalty": 1.4},
])  # fmt: skip
def test_the_drafter_changes_no_token(
    model: TextToSemantic,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    head: nn.Module,
    fields: dict[str, Any],
) -> None:
    plain = {name: value for name, value in fields.items() if name not in ("draft_length", "candidates", "draft_exit")}
    found = decode(model, Drafting({"bigram": head}), DecodeOptions(method="bigram", seed=4, **fields), texts)
    assert rows(found) == rows(autoregressive(seed=4, **plain))
    assert found.stats.drafted > found.stats.accepted > 0


def test_trees_grow_on_it(
    model: TextToSemantic,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    head: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cheap candidates: the draft goes on behind several of a depth."""
    # Whether it pays on this machine is not the question here.
    monkeypatch.setattr(SpeculationToggle, "drafts", lambda self, rows: True)
    cheap = DraftCosts(((0.6, 0.2),) * 8, {1: tuple(1.0 + 0.02 * n for n in range(9))}, {1: 0.001})
    drafting = Drafting({"bigram": head}, tuning=Tuning({"bigram": cheap}))
    options = DecodeOptions(seed=4)
    assert drafting.resolve(options, 8) == "bigram", "auto takes what tuning says is fast"
    drafter, controller = drafting.prepare(model, "bigram", options)
    assert isinstance(controller, DynamicTreeController)
    found = Engine(model, options, GUARDS, drafter, controller=controller).decode(texts)
    assert rows(found) == rows(autoregressive(seed=4))
    chains = decode(model, drafting, DecodeOptions(method="bigram", seed=4, draft_length=4), texts)
    assert found.stats.block_efficiency > chains.stats.block_efficiency


def test_the_rule_accepts_likely_tokens(model: TextToSemantic, texts: list[list[int]], head: nn.Module) -> None:
    options = DecodeOptions(method="bigram", verify="top-n", seed=4, draft_length=3)
    drafting = Drafting({"bigram": head})
    lossy = decode(model, drafting, options, texts)
    assert not lossy.lossless and not find_rule("top-n").lossless
    coupled = decode(model, drafting, DecodeOptions(method="bigram", seed=4, draft_length=3), texts)
    assert lossy.stats.acceptance_rate > coupled.stats.acceptance_rate


def test_the_script_runs(model: TextToSemantic, texts: list[list[int]], autoregressive: Autoregressive) -> None:
    names: dict[str, Any] = {"model": model, "texts": texts}
    exec(compile(SCRIPTS[0], "docs/add_a_drafter.md", "exec"), names)
    assert rows(names["result"]) == rows(Engine(model, DecodeOptions(seed=4)).decode(texts))


def test_it_is_tuned_trained_and_listed(
    model: TextToSemantic, texts: list[list[int]], head: nn.Module, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = TunePlan(rows=(1,), longest=2, tokens=10, utterances=2, repeats=1)
    tuning = measure_costs(model, Drafting({"bigram": head}), texts[:2], DecodeOptions(seed=1), plan)
    assert tuning.methods["bigram"].longest == 2 and not tuning.methods["bigram"].anywhere
    [run] = head_runs(AcceleratePlan(heads=("bigram",)), model.config, ())
    assert run.heads == {"bigram": {"width": 16}}
    assert head_runs(AcceleratePlan(), model.config, ("recurrent", "prophet", "early-exit", "medusa")) == []
    assert command(["info", "kathleen"]) == 0
    shown = capsys.readouterr().out
    assert "bigram" in shown and "top-n" in shown


def test_a_voice_keeps_its_head(shared_voice: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shared_voice, tmp_path / "voice")
    voice = open_voice(folder)
    config = load_text_to_semantic(voice).config
    made = build_head("bigram", {"width": 8}, config)
    assert head_config(made) == {"kind": "bigram", "width": 8}
    save_head(folder, made, half=False)
    loaded = load_heads(seal(folder, voice.card), config)["bigram"]
    assert type(loaded) is type(made) and all(map(torch.equal, loaded.parameters(), made.parameters()))
