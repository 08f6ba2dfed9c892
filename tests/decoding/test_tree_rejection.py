"""Recursive rejection on trees, by exact enumeration of every draw, every accepted path and every law drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import pytest
import torch
from torch import Tensor

from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.tree import TreeShape
from spear_accel.decoding.verify import tree
from spear_accel.decoding.verify.rejection import Rejection
from spear_accel.decoding.verify.tree import verify_tree

VOCABULARY = 4
EPSILON = 1e-11
Prefix = tuple[int, ...]
SHAPES = ((-1, -1, 0, 0, 1), (-1, -1, -1), (-1, 0, 0, 2), (-1, -1, 0, 1))


@dataclass(frozen=True)
class Outcome:
    """One way that a verification can go: its chance, the path, the law of the token behind it, the numbers used."""

    chance: float
    path: Prefix
    law: Tensor
    uniform: dict[tuple[int, int], float]


def random_law(depth: int, seed: int) -> dict[Prefix, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    law = {}
    for length in range(depth):
        for prefix in product(range(VOCABULARY), repeat=length):
            weights = torch.rand(VOCABULARY, generator=generator, dtype=torch.float64) ** 2
            law[prefix] = weights / weights.sum()
    return law


def drawings(shape: TreeShape, q: dict[Prefix, Tensor], replacement: bool) -> Iterator[tuple[float, Prefix]]:
    """Every assignment of tokens to nodes and its chance; siblings drawn one after another."""
    families = {parent: [n for n, p in enumerate(shape.parents) if p == parent] for parent in set(shape.parents)}

    def fill(tokens: dict[int, int], parents: list[int], chance: float) -> Iterator[tuple[float, Prefix]]:
        if not parents:
            yield chance, tuple(tokens[node] for node in range(shape.nodes))
            return
        parent, children = parents[0], families[parents[0]]
        law = q[prefix_of(shape, tokens, parent)]
        choices = product(range(VOCABULARY), repeat=len(children)) if replacement else permutations(
            range(VOCABULARY), len(children)
        )  # fmt: skip
        for chosen in choices:
            weight, left = 1.0, law.clone()
            for token in chosen:
                weight *= float(left[token] / left.sum())
                if not replacement:
                    left[token] = 0.0
            if weight > 0.0:
                yield from fill({**tokens, **dict(zip(children, chosen, strict=True))}, parents[1:], chance * weight)

    yield from fill({}, sorted(families), 1.0)


def prefix_of(shape: TreeShape, tokens: dict[int, int], node: int) -> Prefix:
    found: list[int] = []
    while node >= 0:
        found.append(tokens[node])
        node = shape.parents[node]
    return tuple(reversed(found))


def outcomes(
    shape: TreeShape, tokens: Prefix, p: dict[Prefix, Tensor], q: dict[Prefix, Tensor], replacement: bool,
    node: int = -1, path: Prefix = (),
) -> Iterator[Outcome]:  # fmt: skip
    """The rule in its plainest form, node by node."""
    named = dict(enumerate(tokens))
    prefix = prefix_of(shape, named, node)
    law, draft = p[prefix], q.get(prefix)
    reached, numbers = 1.0, {}
    for rank, child in enumerate(n for n, parent in enumerate(shape.parents) if parent == node):
        assert draft is not None
        token = tokens[child]
        ratio = float(law[token] / draft[token]) if float(draft[token]) > 0.0 else 0.0
        passes = min(1.0, ratio)
        if reached * passes > 0.0:
            below = {**numbers, (len(path), rank): ratio - EPSILON}
            for outcome in outcomes(shape, tokens, p, q, replacement, child, (*path, child)):
                chance = reached * passes * outcome.chance
                yield Outcome(chance, outcome.path, outcome.law, {**below, **outcome.uniform})
        numbers[len(path), rank] = ratio + EPSILON
        reached *= 1.0 - passes
        if reached <= 0.0:
            return
        law = (law - draft).clamp_min(0.0)
        law = law / law.sum()
        if not replacement:
            draft = draft.clone()
            draft[token] = 0.0
            draft = draft / draft.sum() if float(draft.sum()) > 0.0 else draft
    yield Outcome(reached, path, law, numbers)


class Told:
    """Noise that says what the test wants. uniform: by depth, [B, children]."""

    def __init__(self, uniform: Tensor) -> None:
        self.uniform = uniform

    def candidate_uniforms(self, depth: int, count: int) -> Tensor:
        return self.uniform[:, depth, :count]

    def residual_gumbel(self, depths: Tensor) -> None:
        return None


@pytest.mark.parametrize("parents", SHAPES, ids=str)
@pytest.mark.parametrize("replacement", [False, True], ids=["without", "with"])
def test_the_law_is_the_targets(parents: Prefix, replacement: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = TreeShape(parents)
    length = shape.depth + 1
    p, q = random_law(length, 1), random_law(length, 2)
    rows: list[tuple[float, Prefix, Outcome]] = [
        (chance, tokens, outcome)
        for chance, tokens in drawings(shape, q, replacement)
        for outcome in outcomes(shape, tokens, p, q, replacement)
    ]
    compare_with_the_code(shape, rows, p, q, replacement, monkeypatch)
    found = dict.fromkeys(product(range(VOCABULARY), repeat=length), 0.0)
    for chance, tokens, outcome in rows:
        accepted = prefix_of(shape, dict(enumerate(tokens)), outcome.path[-1]) if outcome.path else ()
        for token in range(VOCABULARY):
            for rest in product(range(VOCABULARY), repeat=length - len(accepted) - 1):
                whole = (*accepted, token, *rest)
                going_on = [float(p[whole[:i]][whole[i]]) for i in range(len(accepted) + 1, length)]
                weight = chance * outcome.chance * float(outcome.law[token])
                found[whole] += weight * float(torch.tensor(going_on, dtype=torch.float64).prod())
    for tokens, chance in found.items():
        wanted = float(torch.stack([p[tokens[:i]][tokens[i]] for i in range(length)]).prod())
        assert abs(chance - wanted) < 1e-9


def compare_with_the_code(
    shape: TreeShape, rows: list[tuple[float, Prefix, Outcome]], p: dict[Prefix, Tensor], q: dict[Prefix, Tensor],
    replacement: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The code takes the same path and draws from the same law as the plain rule, in every row."""
    drawn: list[Tensor] = []

    def record(law: Tensor, gumbel: Tensor | None) -> Tensor:
        drawn.append(law)
        return law.argmax(-1)

    monkeypatch.setattr(tree, "choose", record)
    named = [dict(enumerate(tokens)) for _, tokens, _ in rows]
    nodes = range(shape.nodes)
    log_p = torch.stack([torch.stack([p[prefix_of(shape, row, n)] for n in (-1, *nodes)]) for row in named]).log()
    log_q = torch.stack([torch.stack([q[prefix_of(shape, row, shape.parents[n])] for n in nodes]) for row in named])
    uniform = torch.full((len(rows), shape.depth, max(shape.ranks)), 0.5, dtype=torch.float64)
    for number, (_, _, outcome) in enumerate(rows):
        for (depth, rank), value in outcome.uniform.items():
            uniform[number, depth, rank] = value
    tokens = torch.tensor([tokens for _, tokens, _ in rows])
    proposal = Proposal(tokens, shape, torch.full((len(rows),), shape.nodes), log_q.log())
    verdict = verify_tree(proposal, log_p, Told(uniform), replacement=replacement)  # type: ignore[arg-type]
    for number, (_, _, outcome) in enumerate(rows):
        count = len(outcome.path)
        assert verdict.path[number, :count].tolist() == list(outcome.path)
        assert int(verdict.accepted[number]) == count
    laws = torch.stack([outcome.law for _, _, outcome in rows])
    torch.testing.assert_close(drawn[-1].softmax(-1), laws, atol=1e-9, rtol=0.0)


def test_without_replacement_accepts_more_than_with() -> None:
    """On a random pair with three candidates, and both more than one draft."""
    p, q = random_law(1, 1), random_law(1, 2)
    rates = {}
    for replacement in (False, True):
        shape = TreeShape((-1, -1, -1))
        rates[replacement] = sum(
            chance * outcome.chance
            for chance, tokens in drawings(shape, q, replacement)
            for outcome in outcomes(
                shape, tokens, {**p, **dict.fromkeys([(t,) for t in range(4)], p[()])}, q, replacement
            )
            if outcome.path
        )
    single = float(torch.minimum(p[()], q[()]).sum())
    assert single < rates[True] < rates[False]


def test_certain_candidates_keep_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Top-k candidates that nobody drew: each rejected one leaves the target's law (one-hot q)."""
    drawn: list[Tensor] = []
    monkeypatch.setattr(tree, "choose", lambda law, gumbel: drawn.append(law) or law.argmax(-1))
    p = torch.tensor([[0.5, 0.2, 0.2, 0.1]], dtype=torch.float64)
    log_p = p.log().expand(1, 3, 4)
    proposal = Proposal.tree(torch.tensor([[0, 2]]), TreeShape((-1, -1)))
    chances = []
    for uniform, path in (((0.49, 0.9), [0]), ((0.51, 0.39), [1]), ((0.51, 0.41), [-1])):
        told = Told(torch.tensor([[uniform]], dtype=torch.float64))
        verdict = Rejection().verify(proposal, log_p, told)  # type: ignore[arg-type]
        assert verdict.path.tolist() == [path]
        chances.append(drawn[-1].softmax(-1)[0])
    torch.testing.assert_close(chances[-1], torch.tensor([0.0, 0.2, 0.0, 0.1], dtype=torch.float64) / 0.3)
