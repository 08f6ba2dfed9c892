"""k-means: nearest centroid against brute force, clusters found."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.audio.kmeans import Codebook, fit_codebook
from spear_accel.errors import UserError


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 9), st.integers(0, 99))
def test_nearest_is_the_nearest(frames: int, units: int, dim: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(frames, dim, generator=generator)
    codebook = Codebook(
        torch.randn(dim, generator=generator), torch.rand(dim, generator=generator) + 0.1,
        torch.randn(units, dim, generator=generator),
    )  # fmt: skip
    normalised = (features - codebook.mean) * codebook.scale
    distances = torch.cdist(normalised, codebook.centroids)
    chosen = distances.gather(1, codebook.nearest(features).unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(chosen, distances.min(dim=1).values, atol=1e-5, rtol=0)


def test_separate_clusters_are_found() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 50.0 * torch.eye(4)
    labels = torch.arange(400) % 4
    features = centres[labels] + torch.randn(400, 4, generator=generator)
    tokens = fit_codebook(features, 4).nearest(features)
    assert len({(int(t), int(label)) for t, label in zip(tokens, labels, strict=True)}) == 4


def test_fitting_is_deterministic() -> None:
    features = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fit_codebook(features, 8, seed=1).centroids, fit_codebook(features, 8, seed=1).centroids)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(UserError, match="8 units"):
        fit_codebook(torch.randn(5, 3), 8)
