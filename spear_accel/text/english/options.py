"""Conventions of written English that are choices, each with one default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spear_accel.errors import UserError

__all__ = ["EnglishOptions"]


@dataclass(frozen=True)
class EnglishOptions:
    """How the English front end reads what can be read in more than one way."""

    day_first: bool = False
    """Whether `05/06/2024` and `05-06-2024` are the fifth of June; `05.06.2024` always is. A number above 12 decides
    for itself."""
    number_and: bool = False
    """Whether 105 is "one hundred and five" (British) or "one hundred five" (American)."""
    years: Literal["pairs", "cardinal"] = "pairs"
    """1984 as "nineteen eighty-four", or as "one thousand nine hundred eighty-four"."""
    cents: bool = True
    """Whether $3.50 is "three dollars and fifty cents" or "three dollars fifty"."""
    zero: Literal["zero", "oh"] = "zero"
    """The nought of telephone numbers and other figures that are read one by one."""
    emoji: bool = False
    """Whether emoji are read by their names; else they are left out with a warning."""
    markup: bool = True
    """Whether HTML and Markdown are read for their meaning; else their signs are read as signs."""
    line_ends: bool = True
    """Whether a line that ends early ends a sentence (lists, addresses, verse); else line ends are spaces."""

    def __post_init__(self) -> None:
        if self.years not in ("pairs", "cardinal"):
            raise UserError(f"years must be 'pairs' or 'cardinal', got {self.years!r}")
        if self.zero not in ("zero", "oh"):
            raise UserError(f"zero must be 'zero' or 'oh', got {self.zero!r}")
