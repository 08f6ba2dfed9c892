"""Fewer cases than all combinations: every pair of values, of any two parameters, meets at least once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import pytest


def pairwise(*factors: Sequence[object]) -> list[tuple[object, ...]]:
    """The first combination with the most pairs that no earlier one has, until all pairs are there."""
    left = {
        (first, a, second, b)
        for first, second in combinations(range(len(factors)), 2)
        for a, b in product(range(len(factors[first])), range(len(factors[second])))
    }
    every = list(product(*(range(len(factor)) for factor in factors)))
    chosen: list[tuple[int, ...]] = []
    while left:
        best = max(every, key=lambda case: len(left & _pairs(case)))
        left -= _pairs(best)
        chosen.append(best)
    return [tuple(factor[at] for factor, at in zip(factors, case, strict=True)) for case in sorted(chosen)]


def _pairs(case: tuple[int, ...]) -> set[tuple[int, int, int, int]]:
    return {(first, case[first], second, case[second]) for first, second in combinations(range(len(case)), 2)}


def pairs_first(*factors: Sequence[object]) -> list[object]:
    """All combinations for `pytest.mark.parametrize`; those that no pair needs are marked slow."""
    fast = pairwise(*factors)
    return [
        pytest.param(*case, marks=() if case in fast else pytest.mark.slow, id="-".join(map(str, case)))
        for case in product(*factors)
    ]
