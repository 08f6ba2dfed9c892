"""Loading what other packages offer by entry point. Knows no group and not what is offered."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from spear_accel.errors import UserError

__all__ = ["load_entry"]


def load_entry(entry: EntryPoint, what: str) -> Any:
    """The object that an entry point names; `what` it is, for the error: "voice 'anna'".

    Raises:
        UserError: The package raised something as it was imported, or lacks the object.
    """
    try:
        return entry.load()
    except Exception as error:  # Whatever the package raises, it is that package which must be mended.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{what}: the package that brings it cannot be imported ({entry.value}: {reason[0]}); "
            "mend or remove that package"
        ) from error
