"""The codebook that follows its frames: against plain means, dead units, padding, gradients."""

from __future__ import annotations

import torch

from spear_accel.audio.kmeans import Codebook
from spear_accel.training.quantiser_layers import CodebookLayer

CORNERS = 10.0 * torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])


def layer(units: int = 3) -> CodebookLayer:
    torch.manual_seed(0)
    own = CodebookLayer(2, units)
    own.start_from(Codebook(torch.zeros(2), torch.ones(2), torch.randn(units, 2)))
    return own.train()


def frames(count: int, seed: int) -> torch.Tensor:
    """[1, count, 2] around the corners."""
    generator = torch.Generator().manual_seed(seed)
    return (CORNERS[torch.arange(count) % 3] + 0.1 * torch.randn(count, 2, generator=generator))[None]


def test_centroids_come_to_stand_in_the_middle_of_their_frames() -> None:
    own = layer()
    inside = torch.ones(1, 60, dtype=torch.bool)
    for step in range(1500):
        own(frames(60, step), inside)
    distances = torch.cdist(CORNERS, own.centroids)
    assert float(distances.min(dim=1).values.max()) < 0.2
    assert sorted(distances.argmin(dim=1).tolist()) == [0, 1, 2]


def test_dead_units_are_put_on_frames() -> None:
    own = layer()
    own.centroids[2] = own.sums[2] = torch.tensor([1000.0, 1000.0])
    inside = torch.ones(1, 60, dtype=torch.bool)
    for step in range(800):
        own(frames(60, step), inside)
    assert float(own.centroids.abs().max()) < 20


def test_padding_moves_nothing() -> None:
    own, other = layer(), layer()
    inside = torch.arange(60)[None] < 40
    padded = frames(60, 1)
    own(padded, inside)
    other(torch.where(inside[..., None], padded, 777.0), inside)
    torch.testing.assert_close(own.centroids, other.centroids)


def test_nothing_moves_in_evaluation_and_units_are_those_of_the_tokenizer() -> None:
    own = layer().eval()
    before, given = own.centroids.clone(), frames(30, 2)
    made = own(given, torch.ones(1, 30, dtype=torch.bool))
    assert torch.equal(own.centroids, before)
    assert torch.equal(made.units[0], own.quantiser().nearest(given[0]))
    torch.testing.assert_close(made.vectors[0], own.expand(own.centroids[made.units[0]]))


def test_gradients_reach_frames_through_the_rounding_and_the_commitment() -> None:
    own, given = layer(), frames(30, 3).requires_grad_()
    made = own(given, torch.ones(1, 30, dtype=torch.bool))
    made.vectors[0, :, 0].sum().backward(retain_graph=True)
    assert given.grad is not None
    assert float(given.grad.abs().min(dim=-1).values.max()) > 0
    given.grad = None
    made.commitment.backward()
    assert float(given.grad.abs().sum()) > 0
