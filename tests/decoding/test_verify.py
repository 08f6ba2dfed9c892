"""Coupled verification on hand-made proposals: chains, trees, ragged lengths, and the coupling's acceptance."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding.noise import RowNoise, row_words
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.tree import TreeShape
from spear_accel.decoding.verify.coupled import Coupled, follow

SILENT = RowNoise(torch.zeros(1, 2).long(), torch.zeros(1).long(), torch.arange(6), greedy=True)


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
    proposal = Proposal.tree(torch.tensor([[1, 2, 3, 4]]), TreeShape((-1, -1, 1, 1)))
    verdict = Coupled().verify(proposal, sure([[2, 0, 4, 0, 5]]), SILENT)
    assert verdict.path.tolist() == [[1, 3]]
    assert verdict.committed(proposal) == [[2, 4, 5]]
    verdict = Coupled().verify(proposal, sure([[1, 3, 4, 0, 5]]), SILENT)
    assert verdict.committed(proposal) == [[1, 3]], "children of another node must not match"


def test_empty_proposal_is_plain_sampling() -> None:
    proposal = Proposal.empty(2, torch.device("cpu"))
    verdict = Coupled().verify(proposal, sure([[3], [4]]), SILENT)
    assert verdict.committed(proposal) == [[3], [4]]


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(0, 2**31))
def test_committed_tokens_do_not_depend_on_the_draft(count: int, seed: int) -> None:
    """Whatever is drafted, the committed tokens are a prefix of the target's own draws along them."""
    generator = torch.Generator().manual_seed(seed)
    noise = RowNoise(torch.tensor([row_words(seed, 1)]), torch.tensor([7]), torch.arange(6), greedy=False)
    law = torch.randn(6, generator=generator).log_softmax(-1).expand(1, count + 1, 6)
    draws = choose(law, noise.gumbel(0, count + 1))
    drafted = torch.where(torch.rand(1, count, generator=generator) < 0.7, draws[:, :-1], 0)
    proposal = Proposal.chain(drafted)
    [committed] = Coupled().verify(proposal, law, noise).committed(proposal)
    assert committed == draws[0, : len(committed)].tolist()
    right = (drafted == draws[:, :-1])[0].tolist()
    assert len(committed) == (right.index(False) if False in right else count) + 1


def walk(parents: tuple[int, ...], tokens: list[int], count: int, draws: list[int]) -> tuple[list[int], int]:
    """The path from the root, node by node, and the token behind it: slow and obvious."""
    at, path = -1, []
    while True:
        children = [n for n in range(count) if parents[n] == at and tokens[n] == draws[at + 1]]
        if not children:
            return path, draws[at + 1]
        at = children[0]
        path.append(at)


@st.composite
def trees(draw: st.DrawFn) -> tuple[tuple[int, ...], list[list[int]], list[int], list[list[int]]]:
    """Parents, tokens of two rows (siblings differ), how many nodes count, and the target's draws."""
    size = draw(st.integers(1, 8))
    parents = tuple(draw(st.integers(-1, node - 1)) for node in range(size))
    ranks = TreeShape(parents).ranks
    rows = [[(draw(st.integers(0, 1)) * 3 + rank) % 9 for rank in ranks] for _ in range(2)]
    for row in rows:
        for node, parent in enumerate(parents):
            taken = [row[other] for other in range(node) if parents[other] == parent]
            while row[node] in taken:
                row[node] = (row[node] + 1) % 9
    counts = [draw(st.integers(0, size)) for _ in range(2)]
    draws = [[draw(st.sampled_from([*row, 0])) for _ in range(size + 1)] for row in rows]
    return parents, rows, counts, draws


@settings(max_examples=150)
@given(trees())
def test_any_tree_is_followed_as_by_a_walk(
    drawn: tuple[tuple[int, ...], list[list[int]], list[int], list[list[int]]],
) -> None:
    parents, rows, counts, draws = drawn
    proposal = Proposal(torch.tensor(rows), TreeShape(parents), torch.tensor(counts))
    verdict = follow(proposal, draws)
    for row in range(2):
        path, final = walk(parents, rows[row], counts[row], draws[row])
        assert verdict.path[row, : len(path)].tolist() == path
        assert (verdict.path[row, len(path) :] == -1).all()
        assert int(verdict.accepted[row]) == len(path)
        assert int(verdict.final[row]) == final


def test_rows_walk_at_their_own_pace() -> None:
    draws = [[1, 2, 3], [5, 5, 5]]
    verdict = follow(Proposal.chain(torch.tensor([[1, 2], [1, 5]])), draws)
    assert verdict.path.tolist() == [[0, 1], [-1, -1]]
    assert verdict.final.tolist() == [3, 5]
