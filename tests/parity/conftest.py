"""Golden outputs of other packages, which lie beside the checkout; without them these tests are skipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


@pytest.fixture
def arrays() -> Callable[[Path], dict[str, Tensor]]:
    def read(checkpoint: Path) -> dict[str, Tensor]:
        with np.load(checkpoint.with_suffix(".npz"), allow_pickle=False) as held:
            return {name: torch.from_numpy(held[name]) for name in held}

    return read


def checkpoints(layout: str, suffix: str) -> list[object]:
    """One parameter a golden file; a skipped one where there are none."""
    found = sorted((GOLDEN / layout).glob(f"*{suffix}"))
    reason = "needs the golden files of other packages beside the checkout (shared/golden)"
    return [pytest.param(path, id=path.stem) for path in found] or [
        pytest.param(None, marks=pytest.mark.skip(reason=reason))
    ]
