"""Every kernel that this machine has, and models that exercise it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from spear_accel.native import available_kernels


@pytest.fixture(params=available_kernels() or [pytest.param("none", marks=pytest.mark.skip("no kernel is built"))])
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
