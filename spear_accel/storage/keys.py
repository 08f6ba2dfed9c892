"""Compares names and shapes of tensors with those that are wanted, and names every difference at once.

Knows names and shapes. Does not know files or modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

__all__ = ["Shapes", "listed", "misfits", "shapes_of"]

Shapes = Mapping[str, Sequence[int]]


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by its name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def misfits(found: Shapes, wanted: Shapes) -> str:
    """Every missing, unexpected and misshapen name, counted and grouped by kind; empty when all fit.

    For example `2 missing: layers.{0,1}.norm.gain; 1 misshapen: out.weight is [3, 2], not [4, 2]`.
    """
    misshapen = [
        f"{name} is {list(found[name])}, not {list(shape)}"
        for name, shape in wanted.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    groups = (
        ("missing", [name for name in wanted if name not in found]),
        ("unexpected", [name for name in found if name not in wanted]),
        ("misshapen", misshapen),
    )
    return "; ".join(f"{len(names)} {kind}: {listed(names)}" for kind, names in groups if names)


def listed(names: Iterable[str]) -> str:
    """All names, those that differ in a layer's number only as one: `layers.{0,1,2}.norm`."""
    grouped: dict[str, list[str]] = {}
    for name in names:
        pieces = name.split(".")
        number = next((place for place, piece in enumerate(pieces) if piece.isdigit()), None)
        pattern = name if number is None else ".".join([*pieces[:number], "{}", *pieces[number + 1 :]])
        grouped.setdefault(pattern, []).append("" if number is None else pieces[number])
    return ", ".join(
        pattern if numbers == [""] else pattern.replace("{}", _braced(numbers), 1)
        for pattern, numbers in grouped.items()
    )


def _braced(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else "{" + ",".join(numbers) + "}"
