"""Mistakes seen in public speculative decoders, a test each; docs/decoding.md says where the others are caught."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spear_accel.decoding import DecodeOptions, Engine, LengthBounds, StoppingCriteria
from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads import build_head
from spear_accel.model import TextToSemantic
from spear_accel.model.attention import CrossAttention
from spear_accel.model.encoder import Encoder
from spear_accel.model.native_backend import NativeBackend

GUARDS = StoppingCriteria(length=LengthBounds(tokens_per_unit=8.0, shortest=0.0, longest=4.0, slack=50))


def with_prophet(model: TextToSemantic) -> Drafting:
    torch.manual_seed(3)
    head = build_head("prophet", {"starts": 2}, model.config)
    head.init_from_embedding(model.decoder.embedding.weight)  # type: ignore[operator]
    return Drafting({"prophet": head})


def engine(model: TextToSemantic, options: DecodeOptions) -> Engine:
    drafting = with_prophet(model)
    drafter, controller = drafting.prepare(model, drafting.resolve(options, 8), options)
    return Engine(model, options, GUARDS, drafter, controller=controller)


def test_finished_rows_do_not_enter_the_statistics(model: TextToSemantic, texts: list[list[int]]) -> None:
    """Trap 9: the counts of a batch are the sums of those of the rows decoded alone, and EOS counts once."""
    options = DecodeOptions(method="prophet", draft_length=4, seed=3, batch_size=8, loop_retries=0)
    together = engine(model, options).decode(texts)
    alone = [engine(model, options).decode([text]).stats for text in texts]
    for name in ("row_calls", "drafted", "accepted", "committed"):
        assert getattr(together.stats, name) == sum(getattr(stats, name) for stats in alone), name
    ended = sum(reason == "eos" for reason in together.stop_reasons)
    assert together.stats.committed == sum(map(len, together.tokens)) + ended
    assert ended > 0


def test_nothing_is_read_behind_the_end_of_a_path() -> None:
    """Trap 10: -1 behind an accepted path is no index into the draft."""
    proposal = Proposal.chain(torch.tensor([[5, 6, 7], [5, 6, 7], [5, 6, 7]]))
    path = torch.tensor([[0, 1, 2], [0, -1, -1], [-1, -1, -1]])
    verdict = Verdict(torch.tensor([3, 1, 0]), path, torch.tensor([1, 2, 3]))
    assert verdict.committed(proposal) == [[5, 6, 7, 1], [5, 2], [3]]


@torch.no_grad()
def test_rollback_leaves_the_text_alone(model: TextToSemantic) -> None:
    """Trap 11: cross-attention keys and values are not cropped with the self-attention cache."""
    state = model.start(torch.tensor([[3, 4, 5, 2], [6, 2, -1, -1]]), 20)
    before = state.cross.storage.clone(), list(state.cross.lengths)
    model.decoder.forward(torch.zeros(2, 6, dtype=torch.int64), state)
    state.keep([6, 2])
    state.rewind([1, 0])
    assert state.lengths == [1, 0]
    assert torch.equal(state.cross.storage, before[0]) and state.cross.lengths == before[1]


class Laws:
    """Keeps every proposal of a drafter."""

    def __init__(self, inner: object) -> None:
        self.inner, self.longest = inner, inner.longest  # type: ignore[attr-defined]
        self.seen: list[Proposal] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def propose(self, context: DraftContext) -> Proposal:
        self.seen.append(self.inner.propose(context))  # type: ignore[attr-defined]
        return self.seen[-1]


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_draft_tells_the_law_it_was_drawn_from(
    model: TextToSemantic, texts: list[list[int]], temperature: float
) -> None:
    """Trap 12: greedy drafts have a one-hot law; sampled ones a law under which they are possible."""
    options = DecodeOptions(method="prophet", draft_length=3, temperature=temperature, verify="rejection")
    drafter, _ = with_prophet(model).prepare(model, "prophet", options)
    recorder = Laws(drafter)
    Engine(model, options, GUARDS, recorder).decode(texts)  # type: ignore[arg-type]
    for proposal in recorder.seen:
        assert proposal.log_q is not None
        law = proposal.log_q.exp()
        torch.testing.assert_close(law.sum(-1), torch.ones(law.shape[:2]))
        chances = law.gather(-1, proposal.tokens[..., None])[..., 0]
        assert bool((chances == 1.0).all()) if temperature == 0.0 else bool((chances > 0.0).all())
        assert bool((law.amax(-1) == 1.0).all()) == (temperature == 0.0)


def test_the_text_is_projected_once_per_utterance(
    model: TextToSemantic, texts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 13: target and prophet together project each utterance once in every layer, however many rounds follow."""
    read: list[int] = []
    projected: list[int] = []
    read_text, project = NativeBackend.read_text, CrossAttention.project

    def reading(self: NativeBackend, encoder: Encoder, embedded: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        read.append(len(embedded))
        return read_text(self, encoder, embedded, visible)

    def projecting(self: CrossAttention, memory: Tensor) -> tuple[Tensor, Tensor]:
        projected.append(len(memory))
        return project(self, memory)

    monkeypatch.setattr(NativeBackend, "read_text", reading)
    monkeypatch.setattr(CrossAttention, "project", projecting)
    result = engine(model, DecodeOptions(method="prophet", draft_length=2, batch_size=3)).decode(texts)
    assert result.stats.target_calls > 20
    assert sum(read) == len(texts)
    # The native step projects by itself.
    assert sum(projected) == (0 if model.decoder.backend.native else model.config.decoder_layers * len(texts))


def test_every_row_has_its_own_seed(model: TextToSemantic, texts: list[list[int]]) -> None:
    """Trap 14: equal texts with different seeds differ, with equal seeds agree, and batch mates change nothing."""
    options = DecodeOptions(method="prophet", draft_length=3, batch_size=4, loop_retries=0)
    seeds = [7, 8, 7, 9]
    same_text = engine(model, options).decode([texts[1]] * 4, seeds=seeds)
    assert same_text.seeds == seeds
    rows = [row.tolist() for row in same_text.tokens]
    assert rows[0] == rows[2] and rows[0] != rows[1] and rows[1] != rows[3]
    assert rows[1] == engine(model, options).decode([texts[1]], seeds=[8]).tokens[0].tolist()
