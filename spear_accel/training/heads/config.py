"""What draft heads are trained on, and under which decoder: the `data` section of their YAML file, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from spear_accel.errors import UserError
from spear_accel.training.heads.on_policy import OnPolicySettings
from spear_accel.training.loop.settings import AtLeastOne, NotNegative, Positive, Share, Strings

__all__ = ["DraftHeadTraining", "HeadOptions", "PositionShare"]

PositionShare = Annotated[float, Field(gt=0.0, le=1.0)]
"""Above 0, up to 1."""


@dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """How heads learn, wherever the records come from."""

    distill_temperature: Positive = 0.7
    """At which the heads' and the trunk's distributions are compared: the one that the voice speaks with."""
    batch_tokens: AtLeastOne = 2000
    """Padded semantic tokens in a batch."""
    longest_tokens: AtLeastOne = 1500
    """Longer utterances are left out."""
    positions: PositionShare = 0.25
    """Share of the positions a batch uses for heads that draft several tokens from each; their cost grows with it."""
    trunk_weight: NotNegative = 0.0
    """Factor on the trunk's own cross-entropy; 0 freezes it."""
    label_smoothing: Share = 0.1
    """Of the trunk's cross-entropy."""
    detach: bool = False
    """Whether a trunk that learns along is spared the heads' gradients."""

    def __post_init__(self) -> None:
        if self.detach and not self.trunk_weight:
            raise UserError("detach needs trunk_weight above 0: a frozen trunk takes no gradients")


@dataclass(frozen=True, kw_only=True)
class DraftHeadTraining(HeadOptions):
    """The `data` section: which decoder the heads are for, and what they learn from."""

    trunk: str
    """Output folder of text-to-semantic training, model folder, voice folder or name of a shipped voice."""
    validation: str
    """Manifest that training never sees; on-policy, the model speaks its texts."""
    sources: Strings = ()
    """Manifests of `id`, `text_ids` and `tokens` a line."""
    targets: Literal["samples", "corpus"] | None = None
    """"samples", tokens that the model itself draws (on-policy), or "corpus", those of the sources; by default samples
    for a frozen trunk and the corpus for one that learns along."""
    samples: OnPolicySettings | None = None
    dropout: Share | None = None
    """Dropout in the heads; the trunk's if None."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drawn is not None and not (self.sources or self.drawn.texts):
            raise UserError("samples.texts and sources are both empty; name a manifest of texts to speak")
        if self.on_policy and self.samples is None:
            raise UserError("samples is missing; give its folder, or set targets to corpus")
        if not self.on_policy and not self.sources:
            raise UserError("sources is empty; name at least one manifest")

    @property
    def on_policy(self) -> bool:
        """Whether heads learn from tokens that the model itself draws."""
        return self.targets == "samples" if self.targets else not self.trunk_weight

    @property
    def drawn(self) -> OnPolicySettings | None:
        """How the model draws the tokens; None if they are those of a corpus."""
        return self.samples if self.on_policy else None
