"""Loading what other packages offer by entry point. Knows no group and not what is offered."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from spear_accel.errors import UserError

__all__ = ["load_entry", "package_of"]


def load_entry(entry: EntryPoint, what: str) -> Any:
    """The object that an entry point names; `what` it is, for the error: "voice 'anna'".

    Raises:
        UserError: The package raised something as it was imported, or lacks the object.
    """
    try:
        return entry.load()
    except Exception as error:  # Whatever the package raises, it is that package that must be fixed.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{what}: {package_of(entry)} cannot be imported ({entry.value}: {reason[0]}); fix or remove that package"
        ) from error


def package_of(entry: EntryPoint) -> str:
    """The package that brings an entry point, for errors."""
    return "the package that brings it" if entry.dist is None else f"the package {entry.dist.name!r}"
