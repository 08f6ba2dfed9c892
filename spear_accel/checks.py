"""Checks of single option values: each returns a plain Python value or raises one clear line. Knows no options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from spear_accel.errors import UserError

_LARGEST, _LARGEST_REAL = 1 << 40, 1e18
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


def check_fields(kind: type, values: Mapping[str, Any], source: str) -> None:
    """Holds the values of a dataclass against its annotations, before anything is computed with them.

    Checks whole numbers, numbers, truth values, texts and choices; leaves nested sections and missing fields to others.

    Raises:
        UserError: `source`, the field, its value and what it should be.
    """
    try:
        hints = get_type_hints(kind)
    except NameError:  # Annotations that only a type checker can read.
        return
    for field in fields(kind):
        if field.name in values and not _fits(values[field.name], hints[field.name]):
            wanted = str(getattr(hints[field.name], "__name__", hints[field.name])).replace("typing.", "")
            raise UserError(f"{source}: {field.name} is {str(values[field.name])[:60]!r}, no {wanted}; correct it")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool) and abs(int(value)) < _LARGEST
    if hint is float:
        real = isinstance(value, Real) and not isinstance(value, bool)
        return real and -_LARGEST_REAL < value < _LARGEST_REAL
    if hint is str:
        return isinstance(value, str)
    if hint is NoneType:
        return value is None
    return True


def settle(options: Any, **values: object) -> None:
    """Put checked values into a frozen dataclass, from its `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(options, name, value)
