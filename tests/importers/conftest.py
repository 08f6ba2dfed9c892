"""Checkpoints of other packages' layouts, made here from random numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from spear_accel.importers.spear_tts_pytorch_keys import ALIASES, PeerShape, frequencies

SHAPE = PeerShape(
    dim=24, head_dim=8, heads=4, kv_heads=2, source_depth=1, target_depth=2, ff_inner=40, text_ids=20, semantic_ids=30,
    exit_inner=64,
)  # fmt: skip


def spear_table(shape: PeerShape = SHAPE) -> dict[str, Tensor]:
    """A state dict with every name that the peer's has."""
    torch.manual_seed(3)
    table = {name: torch.randn(size) * 0.3 for name, size in shape.keys().items()}
    for name in table:
        if name.endswith("freqs"):
            table[name] = frequencies(shape.head_dim)
    for first, others in ALIASES.items():
        table |= dict.fromkeys(others, table[first])
    return table


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """As the peer's trainer saves it."""
    path = tmp_path / "model.pt"
    torch.save({"model": spear_table()}, path)
    return path
