"""Which devices can be computed on. Knows no model."""

from __future__ import annotations

import torch

from spear_accel.errors import UserError

__all__ = ["check_device", "is_without_memory"]


def check_device(device: str | torch.device) -> torch.device:
    """The device of a name, if this machine has it.

    Raises:
        UserError: The name is no device's, or there is no such device here.
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"--device {device}: no such device; choose cpu or cuda") from error
    if found.type == "cpu":
        return found
    if found.type == "meta":
        raise UserError(f"--device {device}: has no memory to compute in; choose cpu or cuda")
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise UserError(f"--device {device}: no CUDA device here; leave the option out to use the processor")
        if found.index is not None and found.index >= count:
            raise UserError(f"--device {device}: there are {count} CUDA devices here, counted from 0")
        return found
    try:
        torch.empty(0, device=found)
    except (RuntimeError, NotImplementedError, AssertionError, ImportError) as error:
        raise UserError(f"--device {device}: cannot be computed on here; choose cpu or cuda") from error
    return found


def is_without_memory() -> bool:
    """Whether tensors are made without memory at present, to look at the shapes of a module alone."""
    return torch.get_default_device().type == "meta"
