"""Speculative sampling keeps the law of the target: by exact enumeration, and where it could divide by zero."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from spear_accel.decoding.noise import RowNoise, row_words
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.verify import rejection
from spear_accel.decoding.verify.rejection import Lenient, Rejection
from spear_accel.decoding.verify.tree import residual

EPSILON = 1e-12
Prefix = tuple[int, ...]
Law = dict[Prefix, Tensor]


class Told:
    """Noise that says what the test wants: `uniform` [B, N]."""

    def __init__(self, uniform: Tensor) -> None:
        self.uniform = uniform

    def acceptance_uniforms(self, count: int) -> Tensor:
        return self.uniform[:, :count]

    def residual_gumbel(self, depths: Tensor) -> None:
        return None


def random_law(vocabulary: int, depth: int, seed: int, sparse: bool = False) -> Law:
    """A law of the next token after every prefix shorter than `depth`, float64 [V] each."""
    generator = torch.Generator().manual_seed(seed)
    law = {}
    for length in range(depth):
        for prefix in product(range(vocabulary), repeat=length):
            weights = torch.rand(vocabulary, generator=generator, dtype=torch.float64) ** 2
            if sparse:
                weights[torch.randint(vocabulary, (), generator=generator)] = 0.0
            law[prefix] = weights / weights.sum()
    return law


def joint(law: Law, depth: int) -> dict[Prefix, float]:
    """Probability of every sequence of `depth` tokens."""
    vocabulary = len(law[()])
    return {
        tokens: float(torch.stack([law[tokens[:i]][tokens[i]] for i in range(depth)]).prod())
        for tokens in product(range(vocabulary), repeat=depth)
    }


def output_law(p: Law, q: Law, length: int, rule: Rejection, monkeypatch: pytest.MonkeyPatch) -> dict[Prefix, float]:
    """Law of the first length + 1 tokens when drafts of `length` are verified once and the target goes on alone.

    The rule itself is asked which drafts pass (with uniform numbers just below and just above p / q) and from which law
    the last token is drawn; only the sums are taken here.
    """
    drawn: list[Tensor] = []

    def record(law: Tensor, gumbel: Tensor | None) -> Tensor:
        drawn.append(law)
        return law.argmax(-1)

    monkeypatch.setattr(rejection, "choose", record)
    vocabulary = len(p[()])
    found = dict.fromkeys(product(range(vocabulary), repeat=length + 1), 0.0)
    for draft in product(range(vocabulary), repeat=length):
        chance = float(torch.stack([q[draft[:i]][draft[i]] for i in range(length)]).prod())
        if chance == 0.0:
            continue
        log_q = torch.stack([q[draft[:i]] for i in range(length)]).log()[None]
        log_p = torch.stack([p[draft[:i]] for i in range(length + 1)]).log()[None]
        proposal = Proposal.chain(torch.tensor([draft]), log_q=log_q)
        ratios = [float(p[draft[:i]][draft[i]] / (rule.lenience * q[draft[:i]][draft[i]])) for i in range(length)]
        for accepted in range(length + 1):
            edge = [r - EPSILON if i < accepted else r + EPSILON for i, r in enumerate(ratios)]
            uniform = torch.tensor([edge], dtype=torch.float64)
            passes = [min(1.0, r) for r in ratios[:accepted]]
            stops = 1.0 - min(1.0, ratios[accepted]) if accepted < length else 1.0
            weight = chance * torch.tensor([*passes, stops], dtype=torch.float64).prod().item()
            if weight <= 0.0 or uniform[:, :accepted].lt(0.0).any():
                continue
            verdict = rule.verify(proposal, log_p, Told(uniform))  # type: ignore[arg-type]
            assert int(verdict.accepted) == accepted
            last = drawn[-1][0].softmax(-1)
            for token in range(vocabulary):
                committed = (*draft[:accepted], token)
                for rest in product(range(vocabulary), repeat=length - accepted):
                    whole = (*committed, *rest)
                    tail = [p[whole[:i]][whole[i]] for i in range(accepted + 1, length + 1)]
                    going_on = float(torch.stack(tail).prod()) if tail else 1.0
                    found[whole] += weight * float(last[token]) * going_on
    return found


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("vocabulary", "length"), [(6, 1), (5, 2), (3, 3)])
def test_the_law_is_the_targets(vocabulary: int, length: int, sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        p = random_law(vocabulary, length + 1, seed, sparse)
        q = random_law(vocabulary, length, seed + 100, sparse)
        found = output_law(p, q, length, Rejection(), monkeypatch)
        wanted = joint(p, length + 1)
        assert max(abs(found[tokens] - wanted[tokens]) for tokens in wanted) < 1e-9


def test_a_certain_draft_keeps_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafts that are an argmax have a one-hot q: the law they were really drawn from."""
    p = random_law(6, 2, 7)
    q = {(): torch.nn.functional.one_hot(torch.tensor(2), 6).double()}
    found, wanted = output_law(p, q, 1, Rejection(), monkeypatch), joint(p, 2)
    assert max(abs(found[tokens] - wanted[tokens]) for tokens in wanted) < 1e-9


@pytest.mark.parametrize("lenience", [0.9, 0.5])
def test_lenience_is_lossy_within_its_bound(lenience: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leviathan's appendix: no sequence of one token becomes more likely than p / l; and it says that it is lossy."""
    p, q = random_law(6, 2, 3), random_law(6, 1, 4)
    rule = Lenient(lenience)
    found = output_law(p, q, 1, rule, monkeypatch)
    first = [sum(chance for tokens, chance in found.items() if tokens[0] == token) for token in range(6)]
    assert sum(first) == pytest.approx(1.0)
    assert all(chance <= float(limit) / lenience + 1e-9 for chance, limit in zip(first, p[()], strict=True))
    assert max(abs(chance - float(right)) for chance, right in zip(first, p[()], strict=True)) > 1e-3
    assert not rule.lossless and Rejection().lossless


def test_equal_laws_accept_everything() -> None:
    law = random_law(6, 1, 1)[()].log().expand(1, 3, 6)
    noise = Told(torch.full((1, 2), 1.0 - 1e-9, dtype=torch.float64))
    verdict = Rejection().verify(Proposal.chain(torch.tensor([[1, 4]]), log_q=law[:, :2]), law, noise)  # type: ignore[arg-type]
    assert verdict.accepted.tolist() == [2]


def test_an_impossible_token_never_passes() -> None:
    """p(x) = 0 is refused even by a uniform number of exactly 0."""
    p = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]]).log()
    q = torch.tensor([[[0.5, 0.5]]]).log()
    verdict = Rejection().verify(Proposal.chain(torch.tensor([[0]]), log_q=q), p, Told(torch.zeros(1, 1)))  # type: ignore[arg-type]
    assert verdict.accepted.tolist() == [0] and verdict.final.tolist() == [1]


def test_an_empty_residual_falls_back_to_the_target() -> None:
    p = torch.tensor([[0.3, 0.7], [0.5, 0.5]])
    q = torch.tensor([[0.3, 0.7], [0.2, 0.8]])
    torch.testing.assert_close(residual(p, q), torch.tensor([[0.3, 0.7], [1.0, 0.0]]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_greedy_verification_in_half_precision_stays_in_the_vocabulary(dtype: torch.dtype) -> None:
    """Temperature 0: both laws are one-hot, the residual is p, and nothing is divided by zero."""
    from spear_accel.decoding.sampling import SamplingParams, choose, log_probabilities

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 6, generator=generator).to(dtype)
    log_p = log_probabilities(logits, SamplingParams(0.0))
    log_q = log_probabilities(torch.randn(4, 2, 6, generator=generator).to(dtype), SamplingParams(0.0))
    proposal = Proposal.chain(choose(log_q, None), log_q=log_q)
    words = torch.tensor([row_words(1, row) for row in range(4)])
    noise = RowNoise(words, torch.zeros(4, dtype=torch.int64), torch.arange(6), greedy=True)
    verdict = Rejection().verify(proposal, log_p, noise)
    best = logits.argmax(-1)
    for row, tokens in enumerate(verdict.committed(proposal)):
        assert tokens == best[row, : len(tokens)].tolist()


def test_drafts_without_a_law_are_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    p = random_law(6, 2, 7)
    log_p = torch.stack([p[()], p[(2,)]]).log()[None]
    tokens = torch.tensor([[2]])
    told = torch.nn.functional.one_hot(tokens, 6).double().log()
    for uniform in (0.0, 0.5, 1.0):
        noise = Told(torch.tensor([[uniform]], dtype=torch.float64))
        one = Rejection().verify(Proposal.chain(tokens), log_p, noise)  # type: ignore[arg-type]
        other = Rejection().verify(Proposal.chain(tokens, log_q=told), log_p, noise)  # type: ignore[arg-type]
        assert one.accepted.tolist() == other.accepted.tolist() and one.final.tolist() == other.final.tolist()
