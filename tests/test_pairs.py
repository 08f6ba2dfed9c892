"""The choice of combinations leaves no pair out."""

from __future__ import annotations

from itertools import combinations, product

from tests.pairs import pairs_first, pairwise

FACTORS = (tuple("abcdefghi"), (0.0, 0.7), (1, 2, 4, 8, "auto"), (1, 3, 8))


def test_every_pair_of_values_meets_in_few_combinations() -> None:
    chosen = pairwise(*FACTORS)
    for first, second in combinations(range(len(FACTORS)), 2):
        met = {(case[first], case[second]) for case in chosen}
        assert met == set(product(FACTORS[first], FACTORS[second]))
    assert len(chosen) < 60 < len(list(product(*FACTORS)))


def test_all_other_combinations_are_slow() -> None:
    cases = pairs_first(*FACTORS)
    assert len(cases) == 9 * 2 * 5 * 3
    assert sum(not case.marks for case in cases) == len(pairwise(*FACTORS))  # type: ignore[attr-defined]
