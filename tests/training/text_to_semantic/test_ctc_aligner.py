"""Dating letters: CTC's best path against exhaustive search, and an aligner that learns a toy language."""

from __future__ import annotations

from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.storage.json_lines import write_manifest
from spear_accel.training.text_to_semantic.ctc_aligner import (
    CtcAligner,
    CtcAlignerConfig,
    align,
    best_times,
    load_trained,
    train,
)

HELD = 4
"""Tokens that every letter of the toy language lasts."""


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [symbol for i, symbol in enumerate(path) if symbol and (i == 0 or path[i - 1] != symbol)]


def best_by_search(scores: np.ndarray, symbols: list[int]) -> float:
    """Score of the best of all paths that spell `symbols`."""
    frames = len(scores)
    best = -np.inf
    extended = [0]
    for symbol in symbols:
        extended += [symbol, 0]
    # A path visits the states of the extended row in order, and may pass over a blank between unlike symbols.
    for visits in combinations_with_replacement(range(len(extended)), frames):
        path = tuple(extended[state] for state in visits)
        if collapsed(path) == symbols:
            best = max(best, float(sum(scores[t, s] for t, s in enumerate(path))))
    return best


def score_of(scores: np.ndarray, symbols: list[int], times: list[int]) -> float:
    """Best score of a path whose symbols have their peaks at `times`: each symbol must hold its own frame."""
    best = -np.inf
    extended = [0]
    for symbol in symbols:
        extended += [symbol, 0]
    for visits in combinations_with_replacement(range(len(extended)), len(scores)):
        path = tuple(extended[state] for state in visits)
        if collapsed(path) == symbols and all(visits[t] == 2 * i + 1 for i, t in enumerate(times)):
            best = max(best, float(sum(scores[t, s] for t, s in enumerate(path))))
    return best


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 2), min_size=1, max_size=3))
def test_best_times_lie_on_the_best_of_all_paths(seed: int, symbols: list[int]) -> None:
    scores = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), size=6))
    times = best_times(scores, symbols)
    assert times == sorted(set(times))
    assert score_of(scores, symbols, times) == pytest.approx(best_by_search(scores, symbols))


def test_a_text_that_does_not_fit_is_spread_evenly() -> None:
    assert best_times(np.zeros((3, 4)), [1, 1, 2, 3, 1]) == [0, 0, 1, 2, 2]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Letter i is spoken as HELD tokens i, so its alignment is known."""
    generator = np.random.default_rng(0)
    records = []
    for number in range(60):
        letters = [2]
        while len(letters) < 8:
            letters += [letter for letter in [int(generator.integers(2, 7))] if letter != letters[-1]]
        records.append({"id": str(number), "text_ids": letters, "tokens": np.repeat(letters, HELD).tolist()})
    write_manifest(tmp_path / "pairs.jsonl", records)
    run = {
        "output": str(tmp_path / "run"),
        "data": {"manifests": [str(tmp_path / "pairs.jsonl")], "validation": str(tmp_path / "pairs.jsonl"),
                 "batch_tokens": 500},
        "model": {"semantic_units": 9, "text_vocab_size": 8, "width": 16, "hidden": 32, "blocks": 2, "kernel": 3,
                  "dropout": 0.0},
        "loop": {"steps": 120, "learning_rate": 0.02, "warmup_steps": 10, "precision": "no", "validate_every": 120},
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    return tmp_path


def test_learns_a_toy_language_and_aligns_it(corpus: Path) -> None:
    assert train(corpus / "run.yaml")["letter_error_rate"] < 0.05
    aligner = load_trained(corpus / "run.yaml")
    records = [{"text_ids": letters, "tokens": np.repeat(letters, HELD).tolist()} for letters in ([2, 4, 3], [5, 2])]
    found = align(aligner, records)
    for record, row in zip(records, found, strict=True):
        assert len(row) == len(record["tokens"]) + 1
        assert row == sorted(row)
        assert row[-1] == len(record["text_ids"])
        middles = [row[HELD * i + HELD // 2] for i in range(len(record["text_ids"]))]
        np.testing.assert_allclose(middles, range(len(middles)), atol=0.75)


def test_letters_as_many_as_tokens_are_dated_where_each_token_is_read_as_two_frames(corpus: Path) -> None:
    """A token a letter: with one frame a token CTC cannot write two equal letters behind each other."""
    letters = [[2, 2, 4, 4, 3], [5, 5, 2], [6, 3, 3, 3], [4, 6, 2, 2]] * 10
    records = [{"id": str(i), "text_ids": row, "tokens": row} for i, row in enumerate(letters)]
    write_manifest(corpus / "pairs.jsonl", records)
    run = yaml.safe_load((corpus / "run.yaml").read_text())
    run["model"]["frames"] = 2
    assert train(run)["letter_error_rate"] < 0.05
    for record, row in zip(records, align(load_trained(run), records), strict=True):
        np.testing.assert_allclose(row, range(len(record["tokens"]) + 1), atol=0.75)


@pytest.mark.parametrize("frames", [1, 2])
def test_an_alignment_does_not_depend_on_the_batch(frames: int) -> None:
    torch.manual_seed(0)
    shape = CtcAlignerConfig(semantic_units=9, text_vocab_size=8, width=16, hidden=32, blocks=2, frames=frames)
    aligner = CtcAligner(shape).eval()
    records = [{"text_ids": [2, 3, 4], "tokens": [1] * 9}, {"text_ids": [5, 3], "tokens": [2, 7, 7, 1, 3] * 6}]
    assert align(aligner, records) == [*align(aligner, records[:1]), *align(aligner, records[1:])]


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    aligner = CtcAligner(CtcAlignerConfig(semantic_units=9, text_vocab_size=8, width=16, hidden=32, blocks=2))
    aligner(torch.arange(9)[None]).square().sum().backward()
    for name, parameter in aligner.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
