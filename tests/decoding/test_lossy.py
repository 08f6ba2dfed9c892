"""Rules that say they are lossy: typical acceptance against a slow walk, grouped acceptance against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spear_accel import DecodeOptions
from spear_accel.decoding.noise import RowNoise, row_words
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.registry import find_rule, rule_names
from spear_accel.decoding.tree import TreeShape
from spear_accel.decoding.verify import grouped
from spear_accel.decoding.verify.grouped import Grouped, groups_within, shares
from spear_accel.decoding.verify.rejection import Rejection
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.decoding.verify.typical import DELTA, EPSILON, Typical
from spear_accel.errors import UserError

VOCABULARY = 6


def noise(rows: int, greedy: bool = False) -> RowNoise:
    words = torch.tensor([row_words(3, row) for row in range(rows)])
    return RowNoise(words, torch.full((rows,), 5), torch.arange(VOCABULARY), greedy)


def test_lossy_rules_say_so() -> None:
    lossy = [name for name in rule_names() if not find_rule(name).lossless]
    assert lossy == ["lenient", "typical", "grouped"]
    for name in rule_names():
        rule = make_verifier(DecodeOptions(verify=name), lambda: torch.randn(VOCABULARY - 1, 2), VOCABULARY)
        assert rule.lossless == find_rule(name).lossless


def typical_path(shape: TreeShape, tokens: list[int], count: int, law: Tensor) -> list[int]:
    """Deepest node all of whose path the target finds likely enough; of equals the likelier. law: [N + 1, V]."""
    best, found = (0, -math.inf), []
    for node in range(count):
        path, at = [], node
        while at >= 0:
            path.append(at)
            at = shape.parents[at]
        passes, likelihood = True, 0.0
        for step in path:
            p = law[shape.parents[step] + 1]
            entropy = -sum(float(x) * math.log(float(x)) for x in p)
            passes = passes and float(p[tokens[step]]) > min(EPSILON, DELTA * math.exp(-entropy))
            likelihood += math.log(float(p[tokens[step]]))
        if passes and (len(path), likelihood) > best:
            best, found = (len(path), likelihood), path[::-1]
    return found


@settings(max_examples=100)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=7), st.integers(0, 10_000))
def test_typical_takes_the_longest_path_that_passes(draws: list[int], seed: int) -> None:
    shape = TreeShape(tuple(draw % (node + 1) - 1 for node, draw in enumerate(draws)))
    generator = torch.Generator().manual_seed(seed)
    law = (2.0 * torch.randn(2, shape.nodes + 1, VOCABULARY, generator=generator)).softmax(-1).double()
    tokens = torch.randint(VOCABULARY, (2, shape.nodes), generator=generator)
    counts = torch.randint(shape.nodes + 1, (2,), generator=generator)
    own = noise(2)
    verdict = Typical().verify(Proposal(tokens, shape, counts), law.log(), own)
    gumbel = own.gumbel(0, shape.depth + 1)
    assert gumbel is not None
    for row in range(2):
        path = typical_path(shape, tokens[row].tolist(), int(counts[row]), law[row])
        assert [node for node in verdict.path[row].tolist() if node >= 0] == path
        assert int(verdict.accepted[row]) == len(path)
        last = path[-1] + 1 if path else 0
        assert int(verdict.final[row]) == int((law[row, last].log() + gumbel[row, len(path)]).argmax())


def test_typical_without_a_draft_draws() -> None:
    law = torch.tensor([[[0.1, 0.9]]]).log()
    verdict = Typical().verify(Proposal.empty(1, law.device), law, noise(1, greedy=True))
    assert verdict.final.tolist() == [1] and verdict.path.shape == (1, 0)


def test_groups_are_those_within_the_radius() -> None:
    centroids = torch.tensor([[0.0], [1.0], [10.0]])
    mean = (1 + 10 + 9) / 3
    groups = groups_within(centroids, 1.5 / mean, vocab=4)
    assert groups.int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert torch.equal(groups_within(centroids, 0.0, 4), torch.eye(4, dtype=torch.bool))
    torch.testing.assert_close(shares(groups).sum(dim=0), torch.ones(4).double())


def test_a_unit_in_no_group_is_refused() -> None:
    with pytest.raises(UserError, match="unit 1 is in no group"):
        Grouped(torch.tensor([[True, False]]))
    with pytest.raises(UserError, match="needs the centroids"):
        make_verifier(DecodeOptions(verify="grouped"))


class Told:
    """Noise that says what the test wants."""

    def __init__(self, accept: Tensor, group: Tensor) -> None:
        self.accept, self.group = accept, group

    def acceptance_uniforms(self, count: int) -> Tensor:
        return self.accept

    def group_uniforms(self, count: int) -> Tensor:
        return self.group

    def residual_gumbel(self, depths: Tensor) -> None:
        return None


GROUPS = torch.tensor([
    [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1],
], dtype=torch.bool)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_the_law_of_the_groups_is_the_targets(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draft, every group that it may stand for, accepted and rejected: summed up, P(g) to 1e-9."""
    drawn: list[Tensor] = []
    monkeypatch.setattr(grouped, "choose", lambda law, gumbel: drawn.append(law) or law.argmax(-1))
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.rand(2, VOCABULARY, generator=generator, dtype=torch.float64).softmax(-1) ** 3
    p, q = p / p.sum(), q / q.sum()
    weights = GROUPS.double() / GROUPS.sum(dim=0)
    group_p, group_q = weights @ p, weights @ q
    rule, found = Grouped(GROUPS), torch.zeros(len(GROUPS), dtype=torch.float64)
    left = (group_p - group_q).clamp_min(0.0) / (group_p - group_q).clamp_min(0.0).sum()
    token_law = ((left / group_p)[:, None] * weights * p).sum(dim=0)
    for token in range(VOCABULARY):
        holding = [g for g in range(len(GROUPS)) if GROUPS[g, token]]
        for number, group in enumerate(holding):
            ratio = float(group_p[group] / group_q[group])
            uniform = torch.tensor([[(number + 0.5) / len(holding)]], dtype=torch.float64)
            for edge, wanted in ((ratio - 1e-9, 1), (ratio + 1e-9, 0)):
                log_p, log_q = p.log().expand(1, 2, -1), q.log().expand(1, 1, -1)
                told = Told(torch.tensor([[edge]], dtype=torch.float64), uniform)
                proposal = Proposal.chain(torch.tensor([[token]]), log_q=log_q)
                verdict = rule.verify(proposal, log_p, told)  # type: ignore[arg-type]
                assert int(verdict.accepted) == wanted
            torch.testing.assert_close(drawn[-1].softmax(-1)[0], token_law, atol=1e-9, rtol=0.0)
            weight = float(q[token] * weights[group, token])
            found[group] += weight * min(1.0, ratio)
            found += weight * (1.0 - min(1.0, ratio)) * left
    torch.testing.assert_close(found, group_p, atol=1e-9, rtol=0.0)


def test_groups_of_one_are_plain_rejection() -> None:
    generator = torch.Generator().manual_seed(1)
    log_p = torch.randn(8, 4, VOCABULARY, generator=generator).log_softmax(-1)
    log_q = torch.randn(8, 3, VOCABULARY, generator=generator).log_softmax(-1)
    proposal = Proposal.chain(torch.randint(VOCABULARY, (8, 3), generator=generator), log_q=log_q)
    rule = Grouped(torch.eye(VOCABULARY, dtype=torch.bool))
    one, other = (verifier.verify(proposal, log_p, noise(8)) for verifier in (rule, Rejection()))
    assert one.accepted.tolist() == other.accepted.tolist() and one.final.tolist() == other.final.tolist()
