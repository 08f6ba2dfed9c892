"""Modules that are built for the weights that they will get, and stopped when they ask for more.

A configuration may ask for a billion channels or a million layers; the weights beside it say what there is. Knows
nothing of what a module computes.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.overrides import TorchFunctionMode

from spear_accel.errors import UserError
from spear_accel.storage.keys import Shapes, listed, shapes_of
from spear_accel.storage.weights import check_fit, fill

__all__ = ["build_for", "build_to_fit"]

Module = TypeVar("Module", bound=nn.Module)
_PARTS_OF_A_TENSOR = 16
"""Submodules that a module has for each of its tensors, at the very most."""
_TABLES = 1 << 24
"""Numbers that a module may make beside those of its file: positions, windows, filters."""
_LONGEST_RANGE = 1 << 20
"""Of a range, from which whole tables are made."""


class _TooLarge(Exception):
    pass


class _Building(TorchFunctionMode):
    """Counts the numbers that a module takes memory for, and leaves out random ones: those of the file replace them."""

    _RANDOM = frozenset(("normal_", "uniform_", "trunc_normal_", "xavier_uniform_", "kaiming_uniform_", "orthogonal_"))
    _BY_SIZE = frozenset((torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full))

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "") in self._RANDOM:
            # Functions of torch.nn.init call their first argument so, methods of a tensor do not.
            return args[0] if args else named["tensor"]
        if func in self._BY_SIZE:
            self._left -= _numbers(args, named)
        elif func is torch.arange and max((abs(bound) for bound in args), default=0) > _LONGEST_RANGE:
            raise _TooLarge
        if self._left < 0:
            raise _TooLarge
        return func(*args, **named)


def _numbers(args: Any, named: Mapping[str, Any]) -> int:
    """How many a call of torch.empty or one of its kin makes."""
    sizes = named.get("size", args)
    if sizes and not isinstance(sizes[0], int):
        sizes = sizes[0]
    return math.prod(size for size in sizes if isinstance(size, int))


def build_to_fit(make: Callable[[], Module], tensors: Mapping[str, Tensor], fault: str) -> Module:
    """The module of `make` with the values of `tensors`.

    Args:
        make: Builds it with any weights.
        tensors: By name.
        fault: Beginning of the error: the file, and what it should have fitted.

    Raises:
        UserError: Names are missing or unexpected, shapes differ (all are named), the module asks for far more than
            the tensors hold, or a value is not finite.
    """
    module = build_for(make, shapes_of(tensors), fault)
    check_fit(module, tensors, fault)
    broken = [name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise UserError(f"{fault}: holds numbers that are not finite in {listed(broken)}; restore the original")
    fill(module, tensors, fault)
    return module


def build_for(make: Callable[[], Module], shapes: Shapes, fault: str) -> Module:
    """The module of `make`, with any numbers for weights, for tensors of such shapes that the caller then copies.

    Raises:
        UserError: It asks for far more than the tensors hold, or cannot be built.
    """
    held = sum(math.prod(shape) for shape in shapes.values())
    try:
        with _bounded(64 + _PARTS_OF_A_TENSOR * len(shapes)), _Building(2 * held + _TABLES):
            return make()
    except _TooLarge:
        reason = f"far more layers or larger ones than the {len(shapes)} tensors of {held:,} numbers are for"
        raise UserError(f"{fault}: {reason}") from None
    except UserError as error:
        raise UserError(f"{fault}: {error}") from error
    except Exception as error:  # Whatever a constructor stumbles over, the configuration gave it.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{fault}: values that nothing can be built with ({reason[:80]})") from error


@contextmanager
def _bounded(most: int) -> Iterator[None]:
    """Stops a module that is being built by this thread at so many parts."""
    parts, thread = 0, threading.get_ident()

    def count(module: nn.Module, name: str, part: nn.Module | None) -> None:
        nonlocal parts
        if threading.get_ident() == thread:
            parts += 1
            if parts > most:
                raise _TooLarge

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
