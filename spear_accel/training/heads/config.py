"""What draft heads are trained on, and under which decoder: the ``data`` section of their YAML file, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from spear_accel.errors import UserError
from spear_accel.training.heads.on_policy import SampleSettings

__all__ = ["DraftHeadTraining"]

TARGETS = ("samples", "corpus")


@dataclass(frozen=True)
class DraftHeadTraining:
    """Which decoder the heads are for, and what they learn from."""

    trunk: str
    """Output folder of text-to-semantic training, model folder, voice folder or name of a shipped voice."""
    validation: str
    """Manifest that training never sees; with own samples, the model speaks its texts."""
    sources: tuple[str, ...] = ()
    """Manifests of ``id``, ``text_ids`` and ``tokens`` a line."""
    targets: str | None = None
    """"samples", tokens that the model itself draws (on-policy), or "corpus", those of the sources; by default samples
    for a frozen trunk and the corpus for one that learns along."""
    samples: SampleSettings | None = None
    distill_temperature: float = 0.7
    """At which the heads' and the trunk's distributions are compared: the one that the voice speaks with."""
    batch_tokens: int = 2000
    """Padded semantic tokens in a batch."""
    longest_tokens: int = 1500
    """Longer utterances are left out."""
    positions: float = 0.25
    """Share of the positions a batch uses for heads that draft several tokens from each; their cost grows with it."""
    trunk_weight: float = 0.0
    """Factor on the trunk's own cross-entropy; 0 freezes it."""
    label_smoothing: float = 0.1
    """Of the trunk's cross-entropy."""
    detach: bool = False
    """Whether a trunk that learns along is spared the heads' gradients."""
    dropout: float | None = None
    """Dropout in the heads; the trunk's where left out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", (self.sources,) if isinstance(self.sources, str) else tuple(self.sources))
        if self.targets is None:
            object.__setattr__(self, "targets", TARGETS[self.trunk_weight > 0.0])
        self._check()

    def _check(self) -> None:
        if self.targets not in TARGETS:
            raise UserError(f"data.targets is {self.targets!r}; choose one of {', '.join(TARGETS)}")
        if self.targets == "samples" and self.samples is None:
            raise UserError("data.samples is missing; give its folder, or set data.targets to corpus")
        if self.targets == "samples" and not (self.sources or (self.samples and self.samples.texts)):
            raise UserError("data.samples.texts and data.sources are both empty; name a manifest of texts to speak")
        if self.targets == "corpus" and not self.sources:
            raise UserError("data.sources is empty; name at least one manifest")
        if not 0.0 < self.positions <= 1.0:
            raise UserError(f"data.positions is {self.positions}; it must lie in (0, 1]")
        if not self.distill_temperature > 0.0:
            raise UserError(f"data.distill_temperature is {self.distill_temperature}; it must be above 0")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise UserError(f"data.label_smoothing is {self.label_smoothing}; it must lie in [0, 1)")
        if not self.trunk_weight >= 0.0:
            raise UserError(f"data.trunk_weight is {self.trunk_weight}; it must be 0 or more")
        if self.detach and not self.trunk_weight:
            raise UserError("data.detach needs data.trunk_weight above 0: a frozen trunk takes no gradients")

    @property
    def sampling_temperature(self) -> float:
        """Of decoding: acceptance is measured at it."""
        on_policy = self.targets == "samples" and self.samples is not None
        return cast("SampleSettings", self.samples).temperature if on_policy else self.distill_temperature

    @property
    def token_temperature(self) -> float:
        """At which the tokens were drawn from what the heads should learn; greedy ones teach like plain ones."""
        return (self.sampling_temperature or 1.0) if self.targets == "samples" else 1.0
