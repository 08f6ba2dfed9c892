"""The recipe's judges: sets of sound, recognisers by name, error rates with intervals, one table."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest, write_manifest

RECIPE = Path(__file__).parents[2] / "recipes" / "kathleen"
pytest.importorskip("whisper_normalizer", reason="word error rates need the extra eval")


def module(name: str) -> ModuleType:
    sys.path.insert(0, str(RECIPE))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(RECIPE))


evaluate, table, words = module("evaluate"), module("evaluation_table"), module("words")
recognisers, ratings = module("recognisers"), module("ratings")
PROMPTS = ["The birch canoe slid on the planks.", "Glue the sheet to the dark blue background.", "It is easy."]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three prompts, one of them in two takes: tones of different pitch."""
    records = []
    for number, (text, prompt) in enumerate(zip([*PROMPTS, PROMPTS[0]], [0, 1, 2, 0], strict=True)):
        path = tmp_path / f"prompt_{prompt:05d}_{number}.wav"
        tone = 0.2 * np.sin(2 * np.pi * (150 + 40 * number) * np.arange(24_000) / 24_000)
        soundfile.write(path, tone, 24_000)
        records.append({"id": path.stem, "audio": str(path), "text": text})
    write_manifest(tmp_path / "test.jsonl", records)
    return tmp_path / "test.jsonl"


def options(tmp_path: Path, test_set: Path, **changed: Any) -> Namespace:
    usual: dict[str, Any] = {
        "work": tmp_path, "manifest": test_set, "out": tmp_path / "out", "voice": "none", "sets": ["recording"],
        "count": 100, "sentences": None, "everyday": RECIPE / "everyday_sentences.txt", "seed": 0, "recogniser": [],
        "model": None, "ratings": [],
    }  # fmt: skip
    return Namespace(**(usual | changed))


def judged_by(monkeypatch: pytest.MonkeyPatch, heard: list[str]) -> list[int]:
    """A recogniser that hears ``heard`` one after the other; the list counts its calls."""
    calls: list[int] = []
    order = iter(heard)
    monkeypatch.setitem(
        recognisers.RECOGNISERS, "moonshine", ("-", lambda model: lambda samples: calls.append(1) or next(order))
    )
    return calls


def test_the_first_take_of_each_prompt_is_judged(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_by(monkeypatch, ["the birch canoe slid on the planks", "blue the sheet to the dark blue background", ""])
    row = evaluate.run(options(tmp_path, manifest, recogniser=["moonshine"]))[0]
    assert (row["set"], row["utterances"]) == ("recording", 3)
    value, low, high = row["moonshine WER"]
    assert value == pytest.approx((0 + 1 + 3) / (7 + 8 + 3), abs=1e-4)
    assert low <= value <= high
    assert row["words a second"][0] == pytest.approx(18 / 3, abs=1e-3)
    assert json.loads((tmp_path / "out" / "table.json").read_text()) == [row]
    worst = (tmp_path / "out" / "recording" / "worst.txt").read_text()
    assert worst.index("It is easy") < worst.index("Glue the sheet") < worst.index("birch canoe")


def test_what_was_judged_is_not_judged_again(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = judged_by(monkeypatch, ["a", "b", "c"])
    first = evaluate.run(options(tmp_path, manifest, recogniser=["moonshine"]))
    assert len(calls) == 3
    assert evaluate.run(options(tmp_path, manifest, recogniser=["moonshine"])) == first
    assert len(calls) == 3
    assert evaluate.run(options(tmp_path, manifest)) == first, "the table shows earlier judges"


def test_scores_and_pitch_stand_in_the_same_row(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ratings.RATERS, "dnsmos", ("-", lambda: lambda samples: 3.0))
    monkeypatch.setitem(ratings.RATERS, "speaker", ("-", lambda: lambda samples: [1.0, 0.0]))
    row = evaluate.run(options(tmp_path, manifest, ratings=["dnsmos", "speaker"]))[0]
    assert row["dnsmos"] == [3.0, 3.0, 3.0]
    assert row["speaker"] == [1.0, 1.0, 1.0]
    assert row["pitch spread"][0] < 0.1, "steady tones"


def test_pitch_error_is_against_the_recording(tmp_path: Path, manifest: Path) -> None:
    evaluate.run(options(tmp_path, manifest))
    folder = tmp_path / "out" / "resynthesis"
    folder.mkdir()
    items = read_manifest(tmp_path / "out" / "recording" / "items.jsonl")
    write_manifest(folder / "items.jsonl", items)
    for number, item in enumerate(items):
        tone = 0.2 * np.sin(2 * np.pi * (150 + 40 * number) * 2 ** (2 / 12) * np.arange(24_000) / 24_000)
        soundfile.write(folder / f"{item['id']}.wav", tone, 24_000)
    row = table.row_of(folder, tmp_path / "out" / "recording")
    assert row["pitch error"][0] == pytest.approx(2.0, abs=0.2)


def test_every_stage_of_a_voice_makes_sound(shared_voice: Path, tmp_path: Path, manifest: Path) -> None:
    rows = evaluate.run(
        options(tmp_path, manifest, voice=str(shared_voice), sets=["recording", "speech", "everyday"], count=2)
    )
    assert [row["set"] for row in rows] == ["recording", "speech", "everyday"]
    assert all(row["utterances"] == 2 for row in rows)
    for name in ("speech", "everyday"):
        for _, path in module("evaluation_sets").read_items(tmp_path / "out" / name):
            samples, _ = soundfile.read(path)
            assert len(samples) and np.isfinite(samples).all()


def test_a_working_folder_of_the_recipe_is_enough(tmp_path: Path, manifest: Path) -> None:
    (tmp_path / "manifests").mkdir()
    manifest.rename(tmp_path / "manifests" / "test.jsonl")
    rows = evaluate.run(options(tmp_path, manifest, manifest=None, out=None))
    assert (tmp_path / "evaluation" / "table.json").exists() and len(rows) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sets": ["sentences"]}, "'sentences' needs --sentences FILE"),
        ({"work": None, "manifest": None}, "name the recipe's working folder with --work"),
        ({"recogniser": ["moonshine", "whisper"], "model": "x"}, "--model is the model of one recogniser"),
        ({"sets": ["everyday"], "everyday": Path("nowhere.txt")}, "nowhere.txt: no such file"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    changed: dict[str, Any], message: str, tmp_path: Path, manifest: Path
) -> None:
    with pytest.raises(UserError) as error:
        evaluate.run(options(tmp_path, manifest, **changed))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("moonshine", "moonshine_voice", "pip install moonshine-voice==0.0.49"),
        ("whisper", "faster_whisper", "pip install faster-whisper"),
        ("pocketsphinx", "pocketsphinx", "pip install pocketsphinx"),
        ("dnsmos", "speechmos", "pip install speechmos"),
        ("distillmos", "distillmos", "pip install distillmos"),
        ("speaker", "resemblyzer", "pip install Resemblyzer"),
    ],
)
def test_a_judge_that_is_not_installed_is_one_line_with_the_command(
    name: str, package: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    judges = ratings if name in ratings.RATERS else recognisers
    with pytest.raises(UserError) as error:
        judges.load(name)
    assert install in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_recogniser_is_told_the_known_ones() -> None:
    with pytest.raises(UserError, match="no recogniser 'siri'; choose one of moonshine, whisper, pocketsphinx"):
        recognisers.load("siri")


def test_both_sides_go_through_one_normaliser() -> None:
    assert words.word_errors("Mr. Smith has 2 cats!", "mister smith has two cats") == (0, 5)
    assert words.word_errors("It's the colour of gray.", "it is the color of grey") == (0, 6)
    assert words.word_errors("red and blue", "") == (3, 3)


def test_error_rates_weigh_utterances_by_their_length() -> None:
    assert words.error_rate([(1, 2), (0, 8)]) == pytest.approx(0.1)
    assert words.character_error_rate(["abcd"], ["abxd"]) == pytest.approx(0.25)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=20))
def test_an_interval_lies_within_the_utterances_rates(pairs: list[tuple[int, int]]) -> None:
    low, high = words.interval(pairs)
    rates = [edits / count for edits, count in pairs]
    assert min(rates) - 1e-9 <= low <= high <= max(rates) + 1e-9
    assert words.interval(pairs) == (low, high)


def test_an_interval_narrows_with_more_utterances() -> None:
    few, many = [(0, 4), (2, 4), (4, 4)], [(0, 4), (2, 4), (4, 4)] * 30
    width = [high - low for low, high in map(words.interval, (few, many))]
    assert width[1] < width[0] / 3
