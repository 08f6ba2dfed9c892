"""Settings of a training run: a YAML file, checked before anything starts."""

from __future__ import annotations

import dataclasses
import os
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from spear_accel.errors import UserError

__all__ = ["build", "read_settings"]

T = TypeVar("T")


def read_settings(
    path: Path | str, required: Iterable[str], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        path: The file.
        required: Sections that must be there.
        variables: Values for ``$NAME`` in the file, over those of the environment.

    Raises:
        UserError: The file is missing, is not a YAML mapping, names an unset variable, or lacks a section.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        filled = string.Template(path.read_text(encoding="utf-8")).substitute({**os.environ, **(variables or {})})
        settings = yaml.safe_load(filled)
    except KeyError as error:
        raise UserError(f"{path}: the variable {error.args[0]} is not set; set it in the environment") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path}: expected a mapping of sections, found {type(settings).__name__}")
    missing = [name for name in required if name not in settings]
    if missing:
        raise UserError(f"{path}: lacks the section {', '.join(missing)}")
    return settings


def build(kind: type[T], values: Mapping[str, Any] | None, place: str) -> T:
    """A dataclass from the mapping of a YAML section.

    Raises:
        UserError: A field is unknown or missing; ``place`` says which section holds it.
    """
    values = dict(values or {})
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    unknown = sorted(set(values) - {field.name for field in fields})
    if unknown:
        known = ", ".join(field.name for field in fields)
        raise UserError(f"{place}: unknown setting {', '.join(unknown)}; known are {known}")
    needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in needed if name not in values]
    if missing:
        raise UserError(f"{place}: setting {', '.join(missing)} is missing")
    return kind(**values)
