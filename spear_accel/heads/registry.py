"""The kinds of draft heads by name, and how one is built from what its config.json says.

Kinds are those of this package and those that installed packages bring with their drafters (entry point group
`spear_accel.drafters`, docs/add_a_drafter.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from torch import nn

from spear_accel.checks import check_fields
from spear_accel.errors import UserError
from spear_accel.heads.spec import HeadSpec
from spear_accel.model import TextToSemanticConfig
from spear_accel.storage.entry_points import load_entry

__all__ = ["build_head", "find_head", "head_config", "head_kinds"]

_GROUP = "spear_accel.drafters"
_BUILT_IN = {
    "recurrent": "spear_accel.heads.recurrent",
    "prophet": "spear_accel.heads.prophet",
    "early-exit": "spear_accel.heads.early_exit",
    "medusa": "spear_accel.heads.medusa",
    "prophet-linear": "spear_accel.heads.prophet_linear",
}


def head_kinds() -> tuple[str, ...]:
    """Kinds of heads that this package brings, in the order in which `accelerate` trains them."""
    return tuple(_BUILT_IN)


def find_head(kind: str, source: str = "head") -> HeadSpec:
    """The kind of head of a name.

    Args:
        kind: As in a head's config.json.
        source: The file that names the kind, for errors.

    Raises:
        UserError: No such kind, or the package that brings it is broken.
    """
    if kind in _BUILT_IN:
        return cast("HeadSpec", import_module(_BUILT_IN[kind]).HEAD)
    for entry in entry_points(group=_GROUP, name=kind):
        spec = getattr(load_entry(entry, f"drafter {kind!r}"), "head", None)
        if isinstance(spec, HeadSpec):
            return spec
    raise UserError(
        f"{source}: kind {kind!r} is unknown; choose one of {', '.join(_BUILT_IN)}, or install the package that brings "
        f"it under the entry point group {_GROUP}"
    )


def build_head(kind: str, values: Mapping[str, Any], target: TextToSemanticConfig, source: str = "head") -> nn.Module:
    """A head with fresh weights.

    Raises:
        UserError: The kind is unknown, or a value is unknown, missing or out of range; `source` names the file.
    """
    spec = find_head(kind, source)
    unknown = sorted(set(values) - {field.name for field in fields(spec.config)})
    if unknown:
        raise UserError(f"{source}: unknown field(s) {', '.join(unknown)}; remove them")
    check_fields(spec.config, values, source)
    try:
        return spec.module(spec.config(**values), target)
    except TypeError as error:
        raise UserError(f"{source}: {error}") from error


def head_config(head: nn.Module) -> dict[str, Any]:
    """What `build_head` needs to build the head's shape again: its kind and its config."""
    installed = (entry.name for entry in entry_points(group=_GROUP))
    for kind in dict.fromkeys((*_BUILT_IN, *installed)):
        spec = _head_or_none(kind)
        if spec is not None and type(head) is spec.module:
            return {"kind": kind, **asdict(head.config)}  # type: ignore[call-overload]
    raise TypeError(f"{type(head).__name__} is no draft head")


def _head_or_none(kind: str) -> HeadSpec | None:
    """None for drafters without a head and for broken packages."""
    try:
        return find_head(kind)
    except UserError:
        return None
