"""The experiment scripts on a tiny voice with untrained heads: what they print is whole and makes sense."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from spear_accel.heads import build_head
from spear_accel.voice.components import load_text_to_semantic, save_decoding_defaults, save_head
from spear_accel.voice.folder import open_voice, seal

SCRIPTS = Path(__file__).parents[2] / "recipes" / "experiments"
LINES = ("The quick brown fox.", "She sells sea shells.", "Nothing at all!")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"experiment_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def voice(tiny_voice: Path) -> Path:
    """With heads."""
    folder = open_voice(tiny_voice)
    target = load_text_to_semantic(folder)
    torch.manual_seed(0)
    for kind, shape in (("recurrent", {"inner": 32, "horizon": 3}), ("medusa", {"horizon": 2})):
        head = build_head(kind, shape, target.config)
        head.init_from_embedding(target.decoder.embedding.weight.detach())  # type: ignore[operator]
        save_head(tiny_voice, head)
    save_decoding_defaults(tiny_voice, {"temperature": 0.7, "loop_retries": 0})
    seal(tiny_voice, folder.card)
    return tiny_voice


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES) + "\n")
    return path


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> ModuleType:
    module = script(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
    module.main()
    return module


def test_equality(monkeypatch: pytest.MonkeyPatch, voice: Path, lines: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    options = (
        "--methods",
        "recurrent,ngram",
        "--draft-lengths",
        "2,auto",
        "--batch-sizes",
        "1,2",
        "--temperatures",
        "0,1",
    )
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "equality", "--text", lines, "--voice", voice, *options, "--json", out)
    assert ended.value.code == 0
    outcomes = json.loads(out.read_text())
    assert len(outcomes) == 2 * (1 + 2 * 2 * 2)
    assert all(one["identical"] + one["near_ties"] == len(LINES) and one["faults"] == 0 for one in outcomes)


def test_methods(
    monkeypatch: pytest.MonkeyPatch, voice: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    run(monkeypatch, "methods", "--text", lines, "--voice", voice, "--batch-sizes", "1,3", "--alone", 2, "--json", out)
    records = json.loads(out.read_text())
    pairs = {(one["method"], one["verify"]) for one in records}
    assert {("recurrent", "coupled"), ("recurrent", "rejection"), ("medusa", "k-seq"), ("ngram", "coupled")} <= pairs
    assert ("early-exit", "coupled") not in pairs, "the voice has no such head"
    assert all(one["identical_to_autoregressive"] for one in records if one["verify"] == "coupled")
    table = capsys.readouterr().out.strip().splitlines()
    assert len(table) == 2 + len(records)
    assert {line.count("|") for line in table} == {11}


def test_first_audio(
    monkeypatch: pytest.MonkeyPatch, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, chart = tmp_path / "out.json", tmp_path / "out.png"
    run(monkeypatch, "first_audio", "--voice", voice, "--runs", 1, "--plot", chart, "--json", out)
    [measured] = json.loads(out.read_text())
    assert len(measured["ready"]) == len(measured["sound"]) > 5
    assert measured["ready"] == sorted(measured["ready"]) and min(measured["sound"]) > 0.0
    assert capsys.readouterr().out.startswith("60 words, ")
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_candidates(
    monkeypatch: pytest.MonkeyPatch, voice: Path, lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "candidates", "--text", lines, "--voice", voice)
    acceptance, gaps = capsys.readouterr().out.strip().split("\n\n")
    rows = [line.strip("| ").split(" | ") for line in acceptance.splitlines()[2:]]
    assert [line.split(" | ")[0] for line in gaps.splitlines()[2:]] == [f"| {m}" for m in ("medusa", "recurrent")]
    assert [row[0] for row in rows].count("recurrent") == 3 and [row[0] for row in rows].count("medusa") == 2
    for row in rows:
        shares = [float(cell) for cell in row[2:]]
        assert shares[:4] == sorted(shares[:4]) and shares[4:] == sorted(shares[4:]), "more candidates, more accepted"
        assert shares[0] <= shares[4] + 0.15, "one candidate cannot pass the bound but by chance"
        assert all(0.0 <= share <= 1.0 for share in shares)


@pytest.fixture
def two_lines(tmp_path: Path) -> Path:
    path = tmp_path / "two.txt"
    path.write_text("The quick brown fox.\nShe sells sea shells.\n")
    return path


def test_throughput(
    monkeypatch: pytest.MonkeyPatch, shared_voice: Path, two_lines: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Times of a whole job beside the plain one, and a chart of its memory."""
    common = ("--voice", shared_voice, "--work", tmp_path / "work", "--batch-size", 2)
    run(monkeypatch, "throughput", two_lines, *common, "--count", 6, "--repeats", 1, "--workers", 1)
    occupied, times = capsys.readouterr().out.strip().splitlines()
    share = re.fullmatch(r"rows of the batch that are live: ([\d.]+)%", occupied)
    assert share is not None and 50.0 < float(share[1]) <= 100.0
    assert re.fullmatch(r"autoregressive, then sound: [\d.]+ s; synth: [\d.]+ s; [\d.]+ times as fast", times)
    chart = tmp_path / "chart.png"
    run(monkeypatch, "throughput", two_lines, *common, "--count", 120, "--workers", 1, "--memory", chart)
    assert re.match(r"after 100 lines \d+ MiB; then \d+ to \d+ MiB", capsys.readouterr().out)
    assert chart.read_bytes().startswith(b"\x89PNG")
    manifest = (tmp_path / "work" / "memory" / "manifest.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in manifest}) == 120


def test_coverage(
    monkeypatch: pytest.MonkeyPatch, shared_voice: Path, two_lines: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(monkeypatch, "coverage", "--text", two_lines, "--voice", shared_voice, "--seeds", 3)
    found, costs = capsys.readouterr().out.strip().split("\n\n")
    kinds = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()[2:]]
    # The sentences are too short to cut out, or say twice, thirty tokens of them.
    assert kinds == [["untouched", "6", "0.000"]]
    parts = {line.split("|")[1].strip(): float(line.split("|")[3]) for line in costs.splitlines()[2:]}
    assert parts.pop("decoding") == 1.0 and set(parts) == {"align", "score"} and min(parts.values()) > 0.0
