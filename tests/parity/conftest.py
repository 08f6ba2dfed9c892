"""Golden outputs of other packages, which lie beside the checkout; without them these tests are skipped,
or fail where CI=true."""

from __future__ import annotations

import os
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


def checkpoints(layout: str, suffix: str, golden: Path = GOLDEN) -> list[object]:
    """One parameter a golden file; a skipped one where there are none.

    Raises:
        FileNotFoundError: There are none, and the variable CI is `true`.
    """
    found = sorted((golden / layout).glob(f"*{suffix}"))
    reason = "needs the golden files of other packages beside the checkout (shared/golden)"
    if not found and os.environ.get("CI") == "true":
        raise FileNotFoundError(f"{golden / layout}: {reason}")
    return [pytest.param(path, id=path.stem) for path in found] or [
        pytest.param(None, marks=pytest.mark.skip(reason=reason))
    ]
