"""Which builds of the native step are there, and which one runs.

A build is a shared library beside this file, made by setup.py if there was a compiler. The environment variable
SPEAR_ACCEL_KERNEL names one of them, "torch", or "auto" for the fastest one that the processor can run.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.native.structures import Block, Draw, Model, Reading, Recurrent, Text

__all__ = ["AUTO", "TORCH", "VARIABLE", "Choice", "Kernel", "available_kernels", "check_fault", "choose_kernel"]

AUTO, TORCH = "auto", "torch"
VARIABLE = "SPEAR_ACCEL_KERNEL"
_FASTEST_FIRST = ("avx512vnni", "avx512", "avx2", "portable")
_FOLDER = Path(__file__).parent
_DEFAULT = AUTO
_INTERFACE = 5
"""SPEAR_INTERFACE of `csrc/step.h`."""
_BAD_TOKEN, _BAD_POSITION, _NO_MEMORY = 1, 2, 3


@dataclass(frozen=True)
class Kernel:
    """One build, loaded. Its functions are those of `csrc/step.h`."""

    name: str
    library: ctypes.CDLL


@dataclass(frozen=True)
class Choice:
    """What runs the target model on a CPU: a kernel, or PyTorch if it is None. reason: why, for people."""

    kernel: Kernel | None
    reason: str

    @property
    def name(self) -> str:
        return TORCH if self.kernel is None else self.kernel.name


def choose_kernel(forced: str | None = None) -> Choice:
    """What computes the target model on a CPU.

    Args:
        forced: Name of a kernel, "torch", or "auto" for the fastest kernel; by default what SPEAR_ACCEL_KERNEL says.

    Raises:
        UserError: The forced kernel is unknown, not built or not supported by the processor.
    """
    return _choose(forced or os.environ.get(VARIABLE) or _DEFAULT)


def check_fault(fault: int) -> None:
    """Raise what a function of a kernel returned, if it is not 0.

    Raises:
        IndexError: A token is unknown.
        ValueError: A position or slot is.
        MemoryError: Activations found no room.
    """
    if fault == _BAD_TOKEN:
        raise IndexError("native step: a token lies outside the vocabulary")
    if fault == _BAD_POSITION:
        raise ValueError("native step: a token's position or slot lies outside the tables")
    if fault == _NO_MEMORY:
        raise MemoryError("native step: no memory for the activations of this block")


@cache
def _choose(wanted: str) -> Choice:
    if wanted == TORCH:
        return Choice(None, f"forced by {VARIABLE}")
    names = available_kernels()
    if wanted == AUTO:
        return Choice(_load(names[0]), "the fastest that this processor runs") if names else Choice(None, _why_none())
    if wanted not in names:
        there = ", ".join((AUTO, TORCH, *names))
        raise UserError(f"{VARIABLE}={wanted}: this machine has no such kernel; choose one of {there}")
    return Choice(_load(wanted), f"forced by {VARIABLE}")


@cache
def available_kernels() -> tuple[str, ...]:
    """Names of the kernels that are built, load and run on this processor, the fastest first."""
    portable = _try_load("portable")
    if not isinstance(portable, Kernel):
        return ()
    supports = portable.library.spear_supports
    return tuple(name for name in _FASTEST_FIRST if supports(name.encode()) and isinstance(_try_load(name), Kernel))


def _why_none() -> str:
    found = _try_load("portable")
    return "the native step loads, but runs nowhere" if isinstance(found, Kernel) else found


def _load(name: str) -> Kernel:
    found = _try_load(name)
    assert isinstance(found, Kernel), found
    return found


@cache
def _try_load(name: str) -> Kernel | str:
    """The kernel, or why there is none."""
    path = _FOLDER / f"_{name}.so"
    if not path.is_file():
        return "the native step was not built: there was no C++ compiler when the package was installed"
    try:
        library = ctypes.CDLL(str(path))
        if library.spear_interface() != _INTERFACE:
            return "the native step was built from other sources; install the package again"
        _declare(library)
    except (OSError, AttributeError) as error:
        return f"the native step does not load: {error}"
    return Kernel(name, library)


def _declare(library: ctypes.CDLL) -> None:
    """Types of the functions; ctypes takes every number for a C int otherwise."""
    pointer, wide, narrow = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    library.spear_forward.argtypes = [ctypes.POINTER(Model), ctypes.POINTER(Block)]
    library.spear_encode.argtypes = [ctypes.POINTER(Model), ctypes.POINTER(Text)]
    library.spear_logits.argtypes = [ctypes.POINTER(Model), pointer, wide, pointer, narrow]
    library.spear_recurrent_start.argtypes = [ctypes.POINTER(Recurrent), pointer, wide, pointer, narrow]
    library.spear_recurrent_step.argtypes = [ctypes.POINTER(Recurrent), ctypes.POINTER(Reading)]
    library.spear_draw.argtypes = [ctypes.POINTER(Draw)]
    library.spear_packed_bytes.argtypes = [wide, wide, narrow]
    library.spear_packed_bytes.restype = wide
    library.spear_pack.argtypes = [pointer, wide, wide, narrow, pointer, pointer, pointer]
    library.spear_pack.restype = None
    library.spear_supports.argtypes = [ctypes.c_char_p]
