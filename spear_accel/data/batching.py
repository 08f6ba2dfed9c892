"""Groups examples of similar length into batches of bounded size. Knows lengths, not what an example is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["batches_by_length", "shuffled_batches"]


def batches_by_length(
    lengths: Sequence[int] | np.ndarray,
    max_total: int,
    *,
    number: int,
    seed: int,
    order: Sequence[int] | np.ndarray | None = None,
    noise: float = 0.1,
) -> list[list[int]]:
    """Split indices into batches whose padded size, rows times the longest row, is at most `max_total`.

    Examples are sorted by a length with a little multiplicative noise, so that every epoch groups them differently
    and padding stays small.

    Args:
        lengths: Length of each example, in frames or tokens.
        max_total: Bound on the padded size of a batch, in the same unit. A longer example gets a batch of its own.
        number: Number of the epoch.
        seed: Seed of the run.
        order: Indices to use; an index may occur several times (weighted sampling). None: each once.
        noise: Standard deviation of the relative noise on the lengths.

    Returns:
        Batches of indices in random order, a function of `number` and `seed`.
    """
    generator = np.random.default_rng((seed, number))
    indices = np.arange(len(lengths)) if order is None else np.asarray(order, dtype=np.int64)
    sizes = np.asarray(lengths, dtype=np.int64)[indices]
    ranked = indices[np.argsort(sizes * np.exp(noise * generator.standard_normal(len(indices))), kind="stable")]
    batches: list[list[int]] = []
    current: list[int] = []
    longest = 0
    for index in ranked.tolist():
        longest_with = max(longest, int(lengths[index]))
        if current and longest_with * (len(current) + 1) > max_total:
            batches.append(current)
            current, longest_with = [], int(lengths[index])
        current.append(index)
        longest = longest_with
    if current:
        batches.append(current)
    generator.shuffle(batches)
    return batches


def shuffled_batches(count: int, batch_size: int, *, number: int, seed: int) -> list[list[int]]:
    """Split the shuffled indices below `count` into full batches; what does not fill a batch is dropped.

    Args:
        count: Number of examples. Fewer than `batch_size` make one short batch.
        batch_size: Examples in a batch.
        number: Number of the epoch.
        seed: Seed of the run.
    """
    permutation = np.random.default_rng((seed, number)).permutation(count).tolist()
    if count <= batch_size:
        return [permutation] if count else []
    return [permutation[i : i + batch_size] for i in range(0, count - batch_size + 1, batch_size)]
