"""Acceptance that validation reports is that of decoding."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.noise import RowNoise, row_words, utterance_key
from spear_accel.heads import EarlyExit, trunk_pass
from spear_accel.model import TextToSemantic
from spear_accel.training.heads.losses import STEPS_SHOWN
from tests.training.heads.helpers import (
    TEMPERATURE,
    Records,
    last_layer,
    make_heads,
    on_policy,
)


@torch.no_grad()
def test_the_last_layer_as_a_head_is_always_accepted(model: TextToSemantic, spoken: Records) -> None:
    task = on_policy(model, {"early-exit": last_layer(model)}, spoken)
    metrics = task.validate(task.modules)
    shown = range(1, STEPS_SHOWN + 1)
    assert [metrics[f"early-exit/acceptance_{j}"] for j in shown] == [1.0] * STEPS_SHOWN
    assert [metrics[f"early-exit/chain_{j}"] for j in shown] == [1.0] * STEPS_SHOWN
    assert metrics["early-exit/tokens_per_round"] == 1 + STEPS_SHOWN
    assert metrics["early-exit/top1"] == 1.0
    assert metrics["early-exit/loss"] == pytest.approx(0.0, abs=1e-5)


@torch.no_grad()
def hits_of(model: TextToSemantic, head: EarlyExit, record: dict[str, Any]) -> list[bool]:
    """Whether the head's draw for each token, EOS included, is the token that decoding said."""
    said = [*record["tokens"], model.config.eos_id]
    trunk = trunk_pass(model, torch.tensor([[*record["text_ids"], 2]]), torch.tensor([record["tokens"]]))
    logits = head.forward_teacher_forced(trunk, torch.arange(len(said)))[0, :, 0]
    words = torch.tensor([row_words(record["seed"], utterance_key(record["text_ids"]))])
    noise = RowNoise(words, torch.tensor([0]), torch.arange(model.config.vocab), greedy=False)
    gumbel = noise.gumbel(0, len(said))
    assert gumbel is not None
    return [int((logits[i] / TEMPERATURE + gumbel[0, i]).argmax()) == token for i, token in enumerate(said)]


def rounds(hits: list[bool], longest: int) -> tuple[list[int], list[int]]:
    """Drafts offered and accepted at each depth, decoding an utterance from what its draft hits."""
    offered, accepted, start = [0] * longest, [0] * longest, 0
    while start < len(hits):
        row = hits[start : start + longest]
        right = row.index(False) if False in row else len(row)
        ended = start + right == len(hits)
        for depth in range(right if ended else longest):
            offered[depth] += 1
            accepted[depth] += depth < right
        start += right + 1
    return offered, accepted


@torch.no_grad()
def test_acceptance_at_validation_is_that_of_decoding(model: TextToSemantic, spoken: Records) -> None:
    """Both follow from one table of hits: validation averages over all starts, decoding over those it comes to."""
    head = last_layer(model, 0.3)
    table = [hits_of(model, head, record) for record in spoken]
    whole = [
        [all(hits[start : start + depth]) for hits in table for start in range(len(hits) - depth + 1)]
        for depth in range(1, STEPS_SHOWN + 1)
    ]
    task = on_policy(model, {"early-exit": head}, spoken)
    metrics = task.validate(task.modules)
    chains = [sum(hits) / len(hits) for hits in whole]
    assert 0.2 < chains[3] < chains[0] < 0.95
    assert [metrics[f"early-exit/chain_{j}"] for j in range(1, 5)] == pytest.approx(chains)
    assert metrics["early-exit/acceptance_1"] == pytest.approx(chains[0])
    assert metrics["early-exit/tokens_per_round"] == pytest.approx(1 + sum(chains))

    options = DecodeOptions(method="early-exit", temperature=TEMPERATURE, draft_length=STEPS_SHOWN, max_tokens=40)
    drafter, controller = Drafting({"early-exit": head}).prepare(model, "early-exit", options)
    texts, seeds = [record["text_ids"] for record in spoken], [record["seed"] for record in spoken]
    result = Engine(model, options, drafter=drafter, controller=controller).decode(texts, seeds=seeds)
    assert [tokens.tolist() for tokens in result.tokens] == [record["tokens"] for record in spoken]
    counts = [rounds(hits, STEPS_SHOWN) for hits in table]
    assert result.stats.reached == tuple(map(sum, zip(*(offered for offered, _ in counts), strict=True)))
    assert result.stats.passed == tuple(map(sum, zip(*(accepted for _, accepted in counts), strict=True)))


def test_a_head_is_reported_at_no_depth_that_it_cannot_draft(model: TextToSemantic, spoken: Records) -> None:
    """A linear prophet of one stream drafts one token a round, so a round commits two at most."""
    task = on_policy(model, make_heads(model, {"linear": ("prophet-linear", {"horizon": 1})}), spoken)
    with torch.no_grad():
        metrics = task.validate(task.modules)
    assert "linear/acceptance_1" in metrics
    assert "linear/acceptance_2" not in metrics
