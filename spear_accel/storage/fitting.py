"""Modules whose sizes are held against the weights that they will get, before any memory is taken.

A configuration may ask for a billion channels or a million layers; the weights beside it say what there is. Knows
nothing of what a module computes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from spear_accel.errors import UserError
from spear_accel.storage.keys import listed
from spear_accel.storage.weights import check_fit, fill

__all__ = ["build_to_fit"]

Module = TypeVar("Module", bound=nn.Module)
_PARTS_OF_A_TENSOR = 16
"""Submodules that a module has for each of its tensors, at the very most."""


class _TooManyParts(Exception):
    pass


def build_to_fit(make: Callable[[], Module], tensors: Mapping[str, Tensor], fault: str) -> Module:
    """The module of `make` with the values of `tensors`.

    Args:
        make: Builds it with any weights; called twice, first without memory.
        tensors: By name.
        fault: Beginning of the error: the file, and what it should have fitted.

    Raises:
        UserError: Names are missing or unexpected, shapes differ (all are named), or a value is not finite.
    """
    try:
        with _bounded(64 + _PARTS_OF_A_TENSOR * len(tensors)), torch.device("meta"):
            shape = make()
    except _TooManyParts:
        raise UserError(f"{fault}: far more layers than the {len(tensors)} tensors are for") from None
    except UserError as error:
        raise UserError(f"{fault}: {error}") from error
    except Exception as error:  # Whatever a constructor stumbles over, the configuration gave it.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{fault}: values that nothing can be built with ({reason[:80]})") from error
    check_fit(shape, tensors, fault)
    broken = [name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise UserError(f"{fault}: holds numbers that are not finite in {listed(broken)}; restore the original")
    module = make()
    fill(module, tensors, fault)
    return module


@contextmanager
def _bounded(most: int) -> Iterator[None]:
    """Stops a module that is being built by this thread at so many parts."""
    parts, thread = 0, threading.get_ident()

    def count(module: nn.Module, name: str, part: nn.Module | None) -> None:
        nonlocal parts
        if threading.get_ident() == thread:
            parts += 1
            if parts > most:
                raise _TooManyParts

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
