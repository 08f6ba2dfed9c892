"""`normalise`: the English front end as a function. Does not split sentences and does not know about tokens' ids."""

from __future__ import annotations

from spear_accel.text.english import ENGLISH, English, EnglishOptions
from spear_accel.text.front_end import Normalised

__all__ = ["Normalised", "normalise"]


def normalise(text: str, options: EnglishOptions | None = None) -> Normalised:
    """English as people write it -> as it is read aloud; see `English`."""
    return (ENGLISH if options is None else English(options))(text)
