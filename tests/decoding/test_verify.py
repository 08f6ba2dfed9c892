"""Coupled verification on hand-made proposals: chains, trees, ragged lengths, and the coupling's acceptance."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding.noise import RowNoise, row_words
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.verify.coupled import Coupled, follow, follow_chain

SILENT = RowNoise(torch.zeros(1, 2).long(), torch.zeros(1).long(), torch.arange(6), silent=True)


def sure(tokens: list[list[int]]) -> torch.Tensor:
    """The law [B, N + 1, 6] that puts everything on `tokens`."""
    return torch.nn.functional.one_hot(torch.tensor(tokens), 6).float().log()


def test_chain_is_cut_at_the_first_mismatch() -> None:
    proposal = Proposal.chain(torch.tensor([[1, 2, 3], [1, 9, 3], [9, 2, 3]]))
    verdict = Coupled().verify(proposal, sure([[1, 2, 3, 4]] * 3), SILENT)
    assert verdict.accepted.tolist() == [3, 1, 0]
    assert verdict.committed(proposal) == [[1, 2, 3, 4], [1, 2], [1]]


def test_nodes_beyond_a_rows_length_do_not_count() -> None:
    proposal = Proposal.chain(torch.tensor([[1, 2, 3], [1, 2, 3]]), torch.tensor([1, 0]))
    verdict = Coupled().verify(proposal, sure([[1, 2, 3, 4]] * 2), SILENT)
    assert verdict.committed(proposal) == [[1, 2], [1]]


def test_tree_follows_the_matching_child() -> None:
    """Root -> 0 (token 1), 1 (token 2); 1 -> 2 (token 3), 3 (token 4)."""
    tokens, parents = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[-1, -1, 1, 1]])
    proposal = Proposal(tokens, parents, torch.tensor([[1, 1, 2, 2]]), torch.tensor([4]))
    verdict = Coupled().verify(proposal, sure([[2, 0, 4, 0, 5]]), SILENT)
    assert verdict.path.tolist() == [[1, 3]]
    assert verdict.committed(proposal) == [[2, 4, 5]]
    verdict = Coupled().verify(proposal, sure([[1, 3, 4, 0, 5]]), SILENT)
    assert verdict.committed(proposal) == [[1, 3]], "children of another node must not match"


def test_empty_proposal_is_plain_sampling() -> None:
    proposal = Proposal.empty(2, torch.device("cpu"))
    verdict = Coupled().verify(proposal, sure([[3], [4]]), SILENT)
    assert verdict.committed(proposal) == [[3], [4]]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**31))
def test_committed_tokens_do_not_depend_on_the_draft(count: int, seed: int) -> None:
    """Whatever is drafted, the committed tokens are a prefix of the target's own draws along them."""
    generator = torch.Generator().manual_seed(seed)
    noise = RowNoise(torch.tensor([row_words(seed, 1)]), torch.tensor([7]), torch.arange(6), silent=False)
    law = torch.randn(6, generator=generator).log_softmax(-1).expand(1, count + 1, 6)
    draws = choose(law, noise.gumbel(0, count + 1))
    drafted = torch.where(torch.rand(1, count, generator=generator) < 0.7, draws[:, :-1], 0)
    proposal = Proposal.chain(drafted)
    [committed] = Coupled().verify(proposal, law, noise).committed(proposal)
    assert committed == draws[0, : len(committed)].tolist()
    right = (drafted == draws[:, :-1])[0].tolist()
    assert len(committed) == (right.index(False) if False in right else count) + 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31))
def test_a_chain_is_followed_as_the_tree_that_it_is(count: int, rows: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    drafted, draws = (
        torch.randint(2, (rows, count), generator=generator),
        torch.randint(2, (rows, count + 1), generator=generator),
    )
    proposal = Proposal.chain(drafted, torch.randint(count + 1, (rows,), generator=generator))
    one, other = follow_chain(proposal, draws), follow(proposal, draws)
    assert one.accepted.tolist() == other.accepted.tolist()
    assert one.final.tolist() == other.final.tolist()
    assert one.committed(proposal) == other.committed(proposal)


def test_rows_walk_at_their_own_pace() -> None:
    draws = torch.tensor([[1, 2, 3], [5, 5, 5]])
    verdict = follow(Proposal.chain(torch.tensor([[1, 2], [1, 5]])), draws)
    assert verdict.path.tolist() == [[0, 1], [-1, -1]]
    assert verdict.final.tolist() == [3, 5]
