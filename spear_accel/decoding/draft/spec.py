"""How a method is described: what it is called, what it needs, and how its drafter is made.

The methods of this package and those of installed packages are described alike; see `decoding/registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from torch import nn

from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.draft.base import Drafter
from spear_accel.errors import UserError
from spear_accel.heads.spec import HeadSpec
from spear_accel.model import SkipSet, TextToSemantic

__all__ = ["DrafterInputs", "MethodSpec", "Needs"]

Needs = Literal["nothing", "head", "draft model", "skip set"]
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class DrafterInputs:
    """What a drafter can be made from."""

    model: TextToSemantic
    """The target."""
    longest: int
    """Depth of the deepest draft that is wanted; a drafter may do with less."""
    head: nn.Module | None = None
    """The voice's draft head of the method, in evaluation mode."""
    draft_model: TextToSemantic | None = None
    """A smaller model of the same vocabulary, in evaluation mode."""
    skip: SkipSet | None = None
    """Blocks of the target that a draft skips."""

    def head_as(self, kind: type[M]) -> M:
        """The head, checked.

        Raises:
            UserError: The voice's head is of another kind.
        """
        if not isinstance(self.head, kind):
            raise UserError(f"{type(self.head).__name__} is no head that can draft here; a {kind.__name__} is needed")
        return self.head


@dataclass(frozen=True)
class MethodSpec:
    """A way to draft."""

    name: str
    """As in `DecodeOptions.method`."""
    summary: str
    """One line for listings: what drafts."""
    make: Callable[[DrafterInputs], Drafter]
    """Makes a fresh drafter, which serves one engine."""
    needs: Needs = "nothing"
    """What a voice must have before the method can run."""
    head: HeadSpec | None = None
    """The trainable head, for methods that need one."""
    costs: DraftCosts = field(default_factory=DraftCosts)
    """A guess at what drafts cost and bring, for voices that were not tuned."""
    preference: int = 100
    """Order among the methods of a voice without measurements: `auto` takes the lowest that needs training."""

    def __post_init__(self) -> None:
        if (self.needs == "head") != (self.head is not None):
            raise ValueError(f"method {self.name!r}: give the head exactly where needs='head'")

    @property
    def training_free(self) -> bool:
        """Whether it drafts without weights of its own."""
        return self.needs in ("nothing", "skip set")
