"""torch's defaults as this package computes, whatever the caller has set: float32, on the processor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import torch

__all__ = ["with_own_defaults"]

Function = TypeVar("Function", bound=Callable[..., Any])


def with_own_defaults(function: Function) -> Function:
    """A function, or a generator, that runs under `torch.set_default_dtype` and `torch.set_default_device` of its own.

    The caller's are back when it returns, and at every value that a generator yields. Costs a microsecond.
    """
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generate(*arguments: Any, **options: Any) -> Iterator[Any]:
            made = function(*arguments, **options)
            try:
                while True:
                    try:
                        with _own_defaults():
                            item = next(made)
                    except StopIteration:
                        return
                    yield item
            finally:
                made.close()

        return cast(Function, generate)

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        with _own_defaults():
            return function(*arguments, **options)

    return cast(Function, call)


@contextmanager
def _own_defaults() -> Iterator[None]:
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    if dtype == torch.float32 and device.type == "cpu":
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)
