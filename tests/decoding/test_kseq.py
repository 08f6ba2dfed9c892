"""k-SEQ by exact enumeration, and its acceptance between SpecTr's guarantee and the optimal transport."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import Tensor

from spear_accel.bench.transport import independent_bound
from spear_accel.decoding.draft.iid import side_by_side
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.verify import kseq
from spear_accel.decoding.verify.kseq import KSeq, leftover, rho_star

EPSILON = 1e-10
Prefix = tuple[int, ...]
Law = dict[Prefix, np.ndarray]
Outcome = tuple[float, Prefix, np.ndarray, dict[tuple[int, int], float]]
"""Chance, accepted tokens, law of the token behind them, uniform numbers by (depth, chain)."""


def random_law(vocabulary: int, depth: int, seed: int) -> Law:
    generator = np.random.default_rng(seed)
    law = {}
    for length in range(depth):
        for prefix in product(range(vocabulary), repeat=length):
            weights = generator.random(vocabulary) ** 2
            law[prefix] = weights / weights.sum()
    return law


def rho_of(p: np.ndarray, q: np.ndarray, count: int) -> float:
    """The root by scipy."""
    optimize = pytest.importorskip("scipy.optimize", reason="the oracle needs scipy (extra train)")

    def excess(rho: float) -> float:
        beta = np.minimum(q, p / rho).sum()
        return float(1.0 - (1.0 - beta) ** count - rho * beta)

    return 1.0 if count == 1 else float(optimize.brentq(excess, 1.0, float(count), xtol=1e-15))


def outcomes(drafts: tuple[Prefix, ...], p: Law, q: Law) -> Iterator[Outcome]:
    """The rule in its plainest form."""

    def level(
        prefix: Prefix, alive: list[int], reached: float, numbers: dict[tuple[int, int], float]
    ) -> Iterator[Outcome]:
        depth = len(prefix)
        if depth == len(drafts[0]):
            yield reached, prefix, p[prefix], numbers
            return
        own, law = q[prefix], p[prefix]
        rho = rho_of(law, own, len(alive))
        for chain in alive:
            token = drafts[chain][depth]
            ratio = law[token] / (rho * own[token])
            passes = min(1.0, ratio)
            agree = [other for other in alive if drafts[other][depth] == token]
            if reached * passes > 0.0:
                yield from level(
                    (*prefix, token), agree, reached * passes, {**numbers, (depth, chain): ratio - EPSILON}
                )
            numbers = {**numbers, (depth, chain): ratio + EPSILON}
            reached *= 1.0 - passes
        if reached > 0.0:
            beta = np.minimum(own, law / rho).sum()
            missed = (1.0 - beta) ** len(alive)
            yield reached, prefix, (law - np.minimum(own, law / rho) * (1.0 - missed) / beta) / missed, numbers

    yield from level((), list(range(len(drafts))), 1.0, {})


class Told:
    """Noise that says what the test wants. uniform: [B, depth, chains]."""

    def __init__(self, uniform: Tensor) -> None:
        self.uniform = uniform

    def candidate_uniforms(self, depth: int, count: int) -> Tensor:
        return self.uniform[:, depth, :count]

    def residual_gumbel(self, depths: Tensor) -> None:
        return None


@pytest.mark.parametrize(
    ("vocabulary", "length", "chains"), [(6, 1, 1), (6, 1, 2), (4, 1, 4), (3, 2, 2), (2, 3, 2), (2, 2, 4)]
)
def test_the_law_is_the_targets(vocabulary: int, length: int, chains: int, monkeypatch: pytest.MonkeyPatch) -> None:
    p, q = random_law(vocabulary, length + 1, 1), random_law(vocabulary, length, 2)
    rows: list[tuple[float, tuple[Prefix, ...], Outcome]] = []
    for drafts in product(product(range(vocabulary), repeat=length), repeat=chains):
        chance = float(np.prod([q[draft[:i]][draft[i]] for draft in drafts for i in range(length)]))
        rows += [(chance, drafts, outcome) for outcome in outcomes(drafts, p, q)]
    compare_with_the_code(rows, p, q, length, monkeypatch)
    found = dict.fromkeys(product(range(vocabulary), repeat=length + 1), 0.0)
    for chance, _, (share, accepted, law, _) in rows:
        for token in range(vocabulary):
            for rest in product(range(vocabulary), repeat=length - len(accepted)):
                whole = (*accepted, token, *rest)
                going_on = np.prod([p[whole[:i]][whole[i]] for i in range(len(accepted) + 1, length + 1)])
                found[whole] += chance * share * float(law[token] * going_on)
    for tokens, chance in found.items():
        assert abs(chance - np.prod([p[tokens[:i]][tokens[i]] for i in range(length + 1)])) < 1e-9


def compare_with_the_code(
    rows: list[tuple[float, tuple[Prefix, ...], Outcome]], p: Law, q: Law, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []
    monkeypatch.setattr(kseq, "choose", lambda law, gumbel: drawn.append(law) or law.argmax(-1))
    chains = len(rows[0][1])
    prefixes = [[draft[:d] for draft in drafts for d in range(length)] for _, drafts, _ in rows]
    whole = [[draft[: d + 1] for draft in drafts for d in range(length)] for _, drafts, _ in rows]
    log_q = torch.tensor(np.array([[q[prefix] for prefix in row] for row in prefixes])).log()
    log_p = torch.tensor(np.array([[p[()], *(p[prefix] for prefix in row)] for row in whole])).log()
    tokens = torch.tensor([[token for draft in drafts for token in draft] for _, drafts, _ in rows])
    uniform = torch.full((len(rows), length, chains), 0.5, dtype=torch.float64)
    for number, (_, _, outcome) in enumerate(rows):
        for (depth, chain), value in outcome[3].items():
            uniform[number, depth, chain] = value
    shape = side_by_side(chains, length)
    proposal = Proposal(tokens, shape, torch.full((len(rows),), shape.nodes), log_q)
    verdict = KSeq().verify(proposal, log_p, Told(uniform))  # type: ignore[arg-type]
    said = [row[:-1] for row in verdict.committed(proposal)]
    assert said == [list(outcome[1]) for _, _, outcome in rows]
    for path in verdict.path.tolist():
        nodes = [node for node in path if node >= 0]
        assert all(later == earlier + 1 for earlier, later in pairwise(nodes))
    laws = torch.tensor(np.array([outcome[2] for _, _, outcome in rows]))
    torch.testing.assert_close(drawn[-1].softmax(-1), laws, atol=1e-8, rtol=0.0)


def optimal_acceptance(p: np.ndarray, q: np.ndarray, count: int) -> float:
    """Most that a rule can accept of `count` independent drafts: transport from q^k to p as a linear programme."""
    optimize = pytest.importorskip("scipy.optimize", reason="the oracle needs scipy (extra train)")
    tuples = list(product(range(len(p)), repeat=count))
    pairs = [(i, token) for i, drafts in enumerate(tuples) for token in sorted(set(drafts))]
    cost = -np.ones(len(pairs))
    rows = np.zeros((len(tuples) + len(p), len(pairs)))
    for column, (i, token) in enumerate(pairs):
        rows[i, column] = 1.0
        rows[len(tuples) + token, column] = 1.0
    bounds = np.array([np.prod([q[t] for t in drafts]) for drafts in tuples])
    solved = optimize.linprog(cost, A_ub=rows, b_ub=np.concatenate((bounds, p)), method="highs")
    return float(-solved.fun)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_acceptance_lies_between_the_guarantee_and_the_optimum(count: int) -> None:
    for seed in range(8):
        p, q = random_law(5, 1, seed)[()], random_law(5, 1, seed + 50)[()]
        p_t, q_t, k = torch.tensor(p)[None], torch.tensor(q)[None], torch.tensor([float(count)], dtype=torch.float64)
        rho = rho_star(p_t, q_t, k)
        beta = torch.minimum(q_t, p_t / rho[:, None]).sum()
        accepted = float(1.0 - (1.0 - beta) ** count)
        best = optimal_acceptance(p, q, count)
        assert (1.0 - (1.0 - 1.0 / count) ** count) * best - 1e-9 <= accepted <= best + 1e-9
        assert best <= np.minimum(p, 1.0 - (1.0 - q) ** count).sum() + 1e-9
        assert float(rho) == pytest.approx(rho_of(p, q, count), abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_closed_form_of_the_optimum(count: int) -> None:
    """Also where p or q rule tokens out."""
    for seed in range(12):
        p, q = random_law(5, 1, seed)[()].copy(), random_law(5, 1, seed + 50)[()].copy()
        if seed % 3 == 1:
            p[0] = 0.0
        if seed % 3 == 2:
            q[1] = q[2] = 0.0
        p, q = p / p.sum(), q / q.sum()
        found = float(independent_bound(torch.tensor(p), torch.tensor(q), count))
        assert found == pytest.approx(optimal_acceptance(p, q, count), abs=1e-9)


def test_what_is_left_is_a_law() -> None:
    for seed in range(20):
        p, q = (torch.tensor(random_law(6, 1, seed + shift)[()])[None] for shift in (0, 100))
        for count in (1.0, 2.0, 4.0):
            k = torch.tensor([count], dtype=torch.float64)
            rest = leftover(p, q, rho_star(p, q, k), k)
            assert float(rest.min()) >= 0.0 and float(rest.sum()) == pytest.approx(1.0)


def test_equal_laws_and_certain_ones_do_not_break() -> None:
    same = torch.tensor([[0.2, 0.8]], dtype=torch.float64)
    sure = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    for p, q in ((same, same), (sure, sure), (same, sure), (sure, same)):
        k = torch.tensor([2.0], dtype=torch.float64)
        rest = leftover(p, q, rho_star(p, q, k), k)
        assert bool(torch.isfinite(rest).all()) and float(rest.sum()) == pytest.approx(1.0)


def test_drafts_without_a_law_are_refused() -> None:
    proposal = Proposal.tree(torch.tensor([[1, 2]]), side_by_side(2, 1))
    with pytest.raises(ValueError, match="log_q"):
        KSeq().verify(proposal, torch.zeros(1, 3, 4), Told(torch.zeros(1, 1, 2)))  # type: ignore[arg-type]
