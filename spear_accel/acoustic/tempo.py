"""Changing the tempo of log-mel frames by interpolation in time, whole or piece by piece; the pitch stays.

Knows frames only, not what they are made of.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Stretch", "stretch", "stretched_length"]


def stretched_length(frames: Tensor, speed: float) -> Tensor:
    """Number of frames [B] that `frames` [B] become at `speed`; at least one."""
    return (frames.double() / speed).round().long().clamp_min(1)


def _positions(first: int, count: int, speed: float, device: torch.device) -> Tensor:
    """Source position of output frames first .. first + count - 1: centres map to centres."""
    return (torch.arange(first, first + count, device=device, dtype=torch.float64) + 0.5) * speed - 0.5


def _interpolate(frames: Tensor, positions: Tensor, last: Tensor) -> Tensor:
    """Frames [B, F, C] at fractional positions [P]; each row is held at its last frame, index `last` [B]."""
    position = torch.minimum(positions.clamp_min(0)[None, :], last[:, None].double())
    left = position.floor().long()
    right = torch.minimum(left + 1, last[:, None])
    rows = torch.arange(len(frames), device=frames.device)[:, None]
    weight = (position - left).to(frames.dtype).unsqueeze(-1)
    return torch.lerp(frames[rows, left], frames[rows, right], weight)


def stretch(frames: Tensor, lengths: Tensor, speed: float) -> tuple[Tensor, Tensor]:
    """Change the tempo of frames [B, F, C] with lengths [B] by interpolation in time; pitch is left alone."""
    new_lengths = stretched_length(lengths, speed)
    positions = _positions(0, int(new_lengths.max()), speed, frames.device)
    return _interpolate(frames, positions, lengths.to(frames.device) - 1), new_lengths


class Stretch:
    """`stretch` of one row that arrives in pieces."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._frames: Tensor | None = None
        self._start = 0
        self._made = 0

    def push(self, piece: Tensor, last: bool) -> Tensor:
        """Frames [1, n, C] in, the stretched frames that are certain by now out."""
        self._frames = piece if self._frames is None else torch.cat([self._frames, piece], dim=1)
        known = self._start + self._frames.shape[1]
        count = self._certain(known, last) - self._made
        positions = _positions(self._made, count, self._speed, piece.device) - self._start
        end = torch.tensor([self._frames.shape[1] - 1], device=piece.device)
        made = _interpolate(self._frames, positions, end)
        self._made += count
        kept = max(0, min(known - 1, int((self._made + 0.5) * self._speed - 0.5)) - self._start)
        self._frames, self._start = self._frames[:, kept:], self._start + kept
        return made

    def _certain(self, known: int, last: bool) -> int:
        """How many output frames can be made from `known` input frames."""
        if last:
            return int(stretched_length(torch.tensor([known]), self._speed))
        # Output j needs source frames up to floor((j + 0.5) * speed - 0.5) + 1, which must be below `known`.
        return max(self._made, int((known - 1.5) / self._speed - 0.5) + 1 if known > 1.5 else 0)
