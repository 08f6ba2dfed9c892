"""Checks of single option values: each returns a plain Python value or raises one clear line. Knows no options."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from spear_accel.errors import UserError

SLOWEST, FASTEST = 0.5, 2.0
"""Factors on the tempo that speech is still understood at."""


def whole(name: str, value: object, least: int | None = None) -> int:
    """A whole number of at least `least`, numpy's included. Raises UserError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral) or (least is not None and int(value) < least):
        bound = "" if least is None else f" of at least {least}"
        raise UserError(f"{name} must be a whole number{bound}, got {value!r}")
    return int(value)


def number(name: str, value: object, least: float, most: float) -> float:
    """A finite number from `least` to `most`, numpy's included. Raises UserError for anything else."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not math.isfinite(float(value)) or not least <= float(value) <= most:  # type: ignore[arg-type]
        bound = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise UserError(f"{name} must be {bound}, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def tempo(speed: object, name: str = "speed") -> float:
    """A factor on the tempo of speech, 0.5 to 2. Raises UserError for anything else."""
    return number(name, speed, SLOWEST, FASTEST)


def settle(options: Any, **values: object) -> None:
    """Put checked values into a frozen dataclass, from its `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(options, name, value)
