"""Pieces joined equal the whole, for any cutting, reach and tempo."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.acoustic.streaming import ContextWindow
from spear_accel.acoustic.tempo import Stretch, stretch

_CUTS = st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(lambda sizes: sum(sizes) > 0)


def _neighbourhood(x: torch.Tensor) -> torch.Tensor:
    """Reach 3, two outputs an input."""
    mean = torch.nn.functional.avg_pool1d(x.transpose(1, 2), 7, 1, 3).transpose(1, 2)
    return torch.stack([x, mean], dim=2).flatten(1, 2)


@settings(max_examples=40)
@given(sizes=_CUTS, least=st.integers(1, 6))
def test_window_equals_whole(sizes: list[int], least: int) -> None:
    whole = torch.randn(1, sum(sizes), 2)
    window = ContextWindow(_neighbourhood, reach=3, ratio=2, least=least)
    pieces = [window.push(piece, i == len(sizes) - 1) for i, piece in enumerate(whole.split(sizes, dim=1))]
    torch.testing.assert_close(torch.cat([p for p in pieces if p is not None], dim=1), _neighbourhood(whole))


def test_window_never_computes_a_growing_prefix() -> None:
    seen: list[int] = []

    def remember(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.shape[1])
        return x

    window = ContextWindow(remember, reach=5, ratio=1)
    for i in range(50):
        window.push(torch.randn(1, 4, 1), i == 49)
    assert max(seen) <= 4 + 2 * 5


@settings(max_examples=40)
@given(sizes=_CUTS, speed=st.floats(0.5, 2.0))
def test_stretch_in_pieces_equals_whole(sizes: list[int], speed: float) -> None:
    whole = torch.randn(1, sum(sizes), 3)
    expected, lengths = stretch(whole, torch.tensor([sum(sizes)]), speed)
    tempo = Stretch(speed)
    pieces = [tempo.push(piece, i == len(sizes) - 1) for i, piece in enumerate(whole.split(sizes, dim=1))]
    joined = torch.cat(pieces, dim=1)
    assert joined.shape[1] == int(lengths[0])
    torch.testing.assert_close(joined, expected, atol=1e-5, rtol=0)


def test_stretch_keeps_rows_apart() -> None:
    frames = torch.randn(2, 40, 3)
    both, lengths = stretch(frames, torch.tensor([40, 17]), 1.3)
    alone, alone_length = stretch(frames[1:, :17], torch.tensor([17]), 1.3)
    assert lengths.tolist() == [31, 13] and alone_length.tolist() == [13]
    torch.testing.assert_close(both[1:, :13], alone)


def test_stretch_at_speed_one_changes_nothing() -> None:
    frames = torch.randn(1, 12, 3)
    torch.testing.assert_close(stretch(frames, torch.tensor([12]), 1.0)[0], frames)
