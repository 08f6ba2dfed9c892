"""What a caller may choose about decoding, checked when it is chosen. Knows no model and no voice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from spear_accel.decoding.sampling import Sampling
from spear_accel.errors import UserError

METHODS = (
    "auto", "autoregressive", "draft-model", "early-exit", "prophet", "prophet-linear", "medusa", "recurrent",
    "layer-skip", "ngram", "jacobi",
)  # fmt: skip
RULES = ("coupled", "rejection", "k-seq", "lenient", "typical", "grouped")
LONGEST_DRAFT = 32
MOST_NODES = 63


@dataclass(frozen=True)
class DecodeOptions:
    """How text becomes semantic tokens."""

    method: str = "auto"
    """What drafts; "auto" takes the best that the voice has."""
    verify: str = "coupled"
    """Verification rule. "coupled" gives the autoregressive tokens of the same seed; "rejection" keeps their law;
    "k-seq" does so for several independent drafts; "lenient", "typical" and "grouped" are lossy."""
    draft_length: int | Literal["auto"] = "auto"
    """Tokens proposed per row and round; "auto" follows measured acceptance and step times."""
    candidates: int | Literal["auto"] = "auto"
    """Tokens offered at each depth of a draft, for the rule "coupled": "auto" takes one where `draft_length` is a
    number, else as many as pay. For "k-seq" the number of drafts; "auto" takes two."""
    draft_exit: bool = False
    """Whether a row stops drafting once the draft doubts itself; `draft_length`, 8 where "auto", is then the most."""
    temperature: float = 0.7
    """0 takes the most likely token."""
    top_k: int = 0
    """Sample among the k most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    """Sample among the smallest set of tokens that holds this probability; 1 keeps all."""
    seed: int = 0
    batch_size: int = 32
    """Most utterances decoded at once."""
    max_tokens: int | None = None
    """Cap on each utterance's tokens; None leaves it to the length guard."""
    repetition_penalty: float = 1.0
    """Above 1, tokens seen in the last `repetition_window` become less likely (Keskar et al. 2019)."""
    repetition_window: int = 10
    cond_scale: float = 1.0
    """Strength of classifier-free guidance (Ho & Salimans 2022): 1 is none and costs nothing, more follows the text
    closer at the price of a second pass without it."""
    lenience: float = 0.7
    """For the rule "lenient": a draft token passes with probability p / (lenience * q)."""
    group_radius: float = 0.35
    """For the rule "grouped": units whose centroids are closer than this share of the mean distance are alike."""
    loop_retries: int = 2
    """How often an utterance that ran into a loop is decoded again, each time with another seed."""

    def __post_init__(self) -> None:
        _choice("method", self.method, METHODS)
        _choice("verify", self.verify, RULES)
        if self.draft_length != "auto":
            _whole("draft_length", self.draft_length, 0)
            if self.draft_length > LONGEST_DRAFT:
                raise UserError(f"draft_length must be at most {LONGEST_DRAFT}, got {self.draft_length}")
        if self.candidates != "auto":
            _whole("candidates", self.candidates, 1)
            length = 1 if self.draft_length == "auto" else self.draft_length
            if length * self.candidates > MOST_NODES:
                raise UserError(
                    f"draft_length times candidates must be at most {MOST_NODES}, got {length * self.candidates}"
                )
        for name, least in (("top_k", 0), ("batch_size", 1), ("repetition_window", 1), ("loop_retries", 0)):
            _whole(name, getattr(self, name), least)
        if self.max_tokens is not None:
            _whole("max_tokens", self.max_tokens, 1)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise UserError(f"seed must be a whole number, got {self.seed!r}")
        _number("temperature", self.temperature, 0.0, math.inf)
        _number("top_p", self.top_p, 0.0, 1.0)
        _number("repetition_penalty", self.repetition_penalty, 0.0, math.inf)
        _number("cond_scale", self.cond_scale, 0.0, math.inf)
        _number("lenience", self.lenience, 0.0, 1.0)
        _number("group_radius", self.group_radius, 0.0, math.inf)
        if self.lenience == 0.0:
            raise UserError("lenience must be above 0: at 0 every draft would pass")
        if self.top_p == 0.0 or self.repetition_penalty == 0.0:
            raise UserError("top_p and repetition_penalty must be above 0")

    @property
    def sampling(self) -> Sampling:
        """The part that turns logits into probabilities."""
        return Sampling(self.temperature, self.top_k, self.top_p, self.repetition_penalty, self.repetition_window)


def _choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"{name} {value!r} is unknown; choose one of {', '.join(known)}")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _number(name: str, value: object, least: float, most: float) -> None:
    valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not valid or not least <= value <= most:  # type: ignore[operator]
        bound = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise UserError(f"{name} must be {bound}, got {value!r}")
