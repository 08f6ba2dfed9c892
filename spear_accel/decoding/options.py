"""What a caller may choose about decoding, checked when it is chosen. Knows no model and no voice."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from spear_accel.checks import number, settle, whole
from spear_accel.decoding.registry import check_method, check_rule
from spear_accel.decoding.sampling import SamplingParams
from spear_accel.errors import UserError

LONGEST_DRAFT = 32
MOST_NODES = 63


@dataclass(frozen=True)
class DecodeOptions:
    """How text becomes semantic tokens."""

    method: str = "auto"
    """What drafts: a name of `spear_accel.decoding.registry.method_names`; "auto" takes the fastest that the voice
    has."""
    verify: str = "coupled"
    """Verification rule: a name of `spear_accel.decoding.registry.rule_names`. "coupled" gives the autoregressive
    tokens of the same seed; "rejection" keeps their distribution; "k-seq" does so for several independent drafts;
    "lenient", "typical" and "grouped" are lossy."""
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
    """Cap on each utterance's tokens; None leaves it to the length bounds."""
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
        check_method(self.method)
        check_rule(self.verify)
        self._check_shape()
        sampling = self.sampling
        settle(
            self,
            **{field.name: getattr(sampling, field.name) for field in fields(sampling)},
            seed=whole("seed", self.seed),
            batch_size=whole("batch_size", self.batch_size, 1),
            loop_retries=whole("loop_retries", self.loop_retries, 0),
            max_tokens=None if self.max_tokens is None else whole("max_tokens", self.max_tokens, 1),
            cond_scale=number("cond_scale", self.cond_scale, 0.0, math.inf),
            lenience=number("lenience", self.lenience, 0.0, 1.0),
            group_radius=number("group_radius", self.group_radius, 0.0, math.inf),
        )
        if self.lenience == 0.0:
            raise UserError("lenience must be above 0: at 0 every draft would pass")

    def _check_shape(self) -> None:
        """Bounds on `draft_length` and `candidates`."""
        length = candidates = 1
        if self.draft_length != "auto":
            length = whole("draft_length", self.draft_length, 0)
            settle(self, draft_length=length)
            if length > LONGEST_DRAFT:
                raise UserError(f"draft_length must be at most {LONGEST_DRAFT}, got {length}")
        if self.candidates != "auto":
            candidates = whole("candidates", self.candidates, 1)
            settle(self, candidates=candidates)
        if self.candidates != "auto" and length * candidates > MOST_NODES:
            raise UserError(f"draft_length times candidates must be at most {MOST_NODES}, got {length * candidates}")

    @property
    def sampling(self) -> SamplingParams:
        """How tokens are drawn, for requests that do not say."""
        return SamplingParams(self.temperature, self.top_k, self.top_p, self.repetition_penalty, self.repetition_window)
