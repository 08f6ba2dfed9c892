"""Caches and hidden states of drafters: what they read, what they never read, and that nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spear_accel.decoding import DecodeOptions, DecodeResult, Engine, LengthBounds, StoppingCriteria
from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.draft.early_exit import EarlyExitDrafter
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.proposal import Proposal
from spear_accel.heads import EarlyExit, trunk_pass
from spear_accel.model import DecoderState, TextToSemantic
from spear_accel.model.decoder import Decoder
from spear_accel.native import choose_kernel
from tests.decoding.drafters import GUARDS, decode, early_exit_like, rows


class Recorder:
    """Passes everything on and writes down what was proposed behind which tokens."""

    def __init__(self, inner: Drafter) -> None:
        self.inner, self.longest = inner, inner.longest
        self.seen: list[tuple[list[list[int]], Proposal]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        return getattr(self.inner, name)  # type: ignore[no-any-return]

    def propose(self, context: DraftContext) -> Proposal:
        proposal = self.inner.propose(context)
        self.seen.append(([list(row) for row in context.committed], proposal))
        return proposal


@pytest.mark.parametrize("kind", ["prophet", "prophet-linear", "medusa", "recurrent", "early-exit"])
def test_drafts_follow_the_last_committed_position(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], kind: str
) -> None:
    """The law of every draft equals that of the head, teacher forced on the committed tokens and the draft."""
    head, options = drafting.heads[kind], DecodeOptions(seed=6, draft_length=3, verify="rejection")
    guards = StoppingCriteria(length=LengthBounds(tokens_per_unit=5.0, shortest=0.0, longest=1.5, slack=10))
    for text in texts[:2]:
        drafter, _ = drafting.prepare(model, kind, options)
        recorder = Recorder(drafter)
        Engine(model, options, guards, recorder).decode([text])  # type: ignore[arg-type]
        assert len(recorder.seen) > 5
        ids = torch.tensor([[*text, model.config.text_eos_id]])
        for [committed], proposal in recorder.seen:
            law = taught(model, head, ids, committed, proposal.tokens[0].tolist())
            # The native step rounds the weights of this head to eight bits.
            near = 0.05 if kind == "recurrent" and choose_kernel().kernel is not None else 1e-4
            torch.testing.assert_close(proposal.log_q[0], law, atol=near, rtol=near)  # type: ignore[index]


@torch.no_grad()
def taught(model: TextToSemantic, head: nn.Module, ids: Tensor, committed: list[int], drafted: list[int]) -> Tensor:
    """Log-probabilities [n, V] of the drafted tokens by `head.forward_teacher_forced`."""
    trunk = trunk_pass(model, ids, torch.tensor([[*committed, *drafted]]))
    first, count = len(committed), len(drafted)
    if isinstance(head, EarlyExit):
        logits = head.forward_teacher_forced(trunk, torch.arange(first, first + count))[0, :, 0]
    else:
        logits = head.forward_teacher_forced(trunk, torch.tensor([first]))[0, 0, :count]  # type: ignore[operator]
    return (logits / 0.7).log_softmax(-1)


def test_no_layer_below_the_exit_runs_twice(
    model: TextToSemantic, texts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: dict[int, int] = {}
    forward = Decoder.forward

    def counting(self: Decoder, x: Tensor, state: DecoderState, layers: slice, **rest: Any) -> Tensor:
        for number in range(*layers.indices(self.config.decoder_layers)):
            runs[number] = runs.get(number, 0) + x.shape[0] * x.shape[1]
        return forward(self, x, state, layers, **rest)

    monkeypatch.setattr(Decoder, "forward", counting)
    drafting = Drafting({"early-exit": early_exit_like(model, 0.1)})
    stats = decode(model, drafting, DecodeOptions(method="early-exit", draft_length=3, batch_size=3), texts).stats
    verified = stats.row_calls + stats.drafted
    assert runs == dict.fromkeys(range(model.config.decoder_layers), verified)


def test_rejected_slots_are_never_read(model: TextToSemantic, drafting: Drafting, texts: list[list[int]]) -> None:
    """Poison behind every row's length. One row: NaN. Ragged rows: huge numbers, because fused attention multiplies
    masked values by zero and 0 * NaN is NaN."""
    options = DecodeOptions(method="early-exit", seed=3, draft_length=4, batch_size=3)
    for chosen, poison in ((texts[1:2], float("nan")), (texts, 1e30)):
        wanted = rows(decode(model, drafting, options, chosen))
        drafter, controller = drafting.prepare(model, "early-exit", options)
        poisoned = Poisoned(drafter, poison)
        assert rows(Engine(model, options, GUARDS, poisoned, controller=controller).decode(chosen)) == wanted  # type: ignore[arg-type]
        assert poisoned.slots > 0


class Poisoned(Recorder):
    """Writes `value` into every slot behind the committed ones, before each draft."""

    def __init__(self, inner: Drafter, value: float) -> None:
        super().__init__(inner)
        self.value, self.slots = value, 0

    def propose(self, context: DraftContext) -> Proposal:
        assert isinstance(self.inner, EarlyExitDrafter)
        for cache in (context.state.own, self.inner.cache):
            for row, length in enumerate(cache.lengths):
                cache.storage[:, :, row, :, length:] = self.value
                self.slots += cache.storage.shape[4] - length
        return self.inner.propose(context)


@torch.no_grad()
def test_cache_after_each_round_is_that_of_a_fresh_prefill(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]]
) -> None:
    options = DecodeOptions(method="early-exit", seed=3, draft_length=3, batch_size=4)
    drafter, controller = drafting.prepare(model, "early-exit", options)
    checked = Refilled(drafter, model, texts[:4])
    Engine(model, options, GUARDS, checked, controller=controller).decode(texts[:4])  # type: ignore[arg-type]
    assert checked.compared > 100


@torch.no_grad()
def test_cache_of_a_tree_is_that_of_a_fresh_prefill(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]]
) -> None:
    options = DecodeOptions(method="draft-model", seed=3, draft_length=3, candidates=3, batch_size=4)
    drafter, controller = drafting.prepare(model, "draft-model", options)
    checked = Refilled(drafter, model, texts[:4])
    Engine(model, options, GUARDS, checked, controller=controller).decode(texts[:4])  # type: ignore[arg-type]
    assert checked.compared > 100


class Refilled(Recorder):
    """Compares the cache with one that read the committed tokens afresh."""

    def __init__(self, inner: Drafter, model: TextToSemantic, texts: list[list[int]]) -> None:
        super().__init__(inner)
        self.model, self.compared = model, 0
        self.texts: list[list[int]] = []

    def add_rows(self, state: object, texts: Tensor) -> None:
        self.texts += [[token for token in row.tolist() if token >= 0] for row in texts]
        self.inner.add_rows(state, texts)  # type: ignore[arg-type]

    def select(self, rows: list[int]) -> None:
        self.texts = [self.texts[row] for row in rows]
        self.inner.select(rows)

    def propose(self, context: DraftContext) -> Proposal:
        for row, (text, tokens) in enumerate(zip(self.texts, context.committed, strict=True)):
            length = len(tokens)
            if length == 0:
                continue
            fresh = self.model.start(torch.tensor([text]), 200)
            read = [self.model.config.start_id, *tokens[:-1]]
            self.model.decoder.forward(torch.tensor([read]), fresh)
            torch.testing.assert_close(
                context.state.own.storage[:, :, row, :, :length], fresh.own.storage[:, :, 0, :, :length],
                atol=1e-5, rtol=1e-5,
            )  # fmt: skip
            self.compared += length
        return self.inner.propose(context)


def test_a_draft_model_with_fewer_positions_drafts_as_far_as_they_go(
    model: TextToSemantic, texts: list[list[int]], autoregressive: Callable[..., DecodeResult]
) -> None:
    short = TextToSemantic(replace(model.config, max_positions=70)).eval()
    short.load_state_dict(model.state_dict())
    wanted = autoregressive(seed=4)
    assert max(map(len, wanted.tokens)) > 75
    for fields in ({}, {"verify": "k-seq"}):
        found = decode(model, Drafting({}, short), DecodeOptions(method="draft-model", seed=4, **fields), texts)  # type: ignore[arg-type]
        assert found.stats.accepted > 100
        assert fields or rows(found) == rows(wanted)
