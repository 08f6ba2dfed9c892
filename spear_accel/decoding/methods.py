"""From the name of a method to its drafter and its policy of draft lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from spear_accel.decoding.control.adaptive import AdaptiveLength, DraftCosts, FixedLength, LengthPolicy
from spear_accel.decoding.control.confidence import LONGEST, ConfidenceExit
from spear_accel.decoding.control.dynamic import MOST_NODES, WorthwhileDrafts
from spear_accel.decoding.control.on_off import DraftOrNot
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.draft.autoregressive import Autoregressive
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.draft.draft_model import DraftModelDrafter
from spear_accel.decoding.draft.early_exit import EarlyExitDrafter
from spear_accel.decoding.draft.iid import IndependentDrafts
from spear_accel.decoding.draft.jacobi import JacobiDrafter
from spear_accel.decoding.draft.layer_skip import LayerSkipDrafter
from spear_accel.decoding.draft.ngram import NgramDrafter
from spear_accel.decoding.draft.parallel import ParallelDrafter
from spear_accel.decoding.draft.prophet import ProphetDrafter
from spear_accel.decoding.draft.recurrent import RecurrentDrafter
from spear_accel.decoding.options import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.heads import EarlyExit, ParallelHead, Prophet, Recurrent
from spear_accel.model import TextToSemantic

__all__ = ["Drafting"]

# Without measurements, the first of these that a voice has is its best guess.
_PREFERRED = ("recurrent", "prophet", "prophet-linear", "medusa", "early-exit", "draft-model")
_ON_TREES = ("coupled", "typical")
"""Rules that know what to do with several candidates that share the target's noise."""
_TRAINING_FREE = ("layer-skip", "ngram", "jacobi")


@dataclass(frozen=True)
class Drafting:
    """Everything a target model can draft with, and what is known of its speed."""

    heads: Mapping[str, nn.Module] = field(default_factory=dict)
    """Draft heads by method."""
    draft_model: TextToSemantic | None = None
    tuning: Tuning = field(default_factory=Tuning)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that can run, "autoregressive" first."""
        ready = [name for name in _PREFERRED if name in self.heads or (name == "draft-model" and self.draft_model)]
        skipping = () if self.tuning.skip is None else ("layer-skip",)
        return ("autoregressive", *ready, *skipping, "ngram", "jacobi")

    def resolve(self, options: DecodeOptions, utterances: int) -> str:
        """The method that decodes `utterances` under `options`: "auto" becomes a name.

        Raises UserError where a method lacks its head.
        """
        if options.method == "auto":
            if options.draft_length == 0:
                return "autoregressive"
            # Without measurements a head is a good guess, and a draft without training is not.
            likely = [name for name in self.methods[1:] if name not in _TRAINING_FREE]
            available = [*likely, *(name for name in self.methods if name not in likely)]
            return self.tuning.best_method(max(1, min(options.batch_size, utterances)), available)
        if options.method == "draft-model" and self.draft_model is None:
            raise UserError(
                "method 'draft-model' needs a draft model: a small voice with the same tokens (--draft-model)"
            )
        if options.method == "layer-skip" and self.tuning.skip is None:
            raise UserError(
                "method 'layer-skip' needs a skip set in decoding.json, which this voice lacks; "
                "spear_accel.accelerate.skip_search finds one"
            )
        if options.method not in self.methods:
            raise UserError(
                f"method {options.method!r} needs a head that this voice lacks (it can run {', '.join(self.methods)}); "
                "train one with: spear-accel train heads CONFIG.yaml"
            )
        return options.method

    def prepare(self, model: TextToSemantic, method: str, options: DecodeOptions) -> tuple[Drafter, LengthPolicy]:
        """A fresh drafter of a resolved `method`, and how long its drafts are to be.

        Raises UserError where the draft length is more than the head can draft.
        """
        if method == "autoregressive":
            return Autoregressive(), FixedLength(0)
        costs = self.tuning.costs(method)
        longest = costs.longest if options.draft_length == "auto" else options.draft_length
        drafter = self.drafter(model, method, longest)
        if options.verify == "k-seq":
            return self._independent(drafter, method, costs, options)
        if options.draft_exit:
            most = LONGEST if options.draft_length == "auto" else int(options.draft_length)
            drafter = self.drafter(model, method, most)
            return ConfidenceExit(drafter, options.sampling.greedy), FixedLength(min(most, drafter.longest))
        branches = drafter.branches != "nowhere" and options.verify in _ON_TREES
        if (
            options.draft_length == options.candidates == "auto"
            and options.verify == "coupled"
            and drafter.grows != "whole"
        ):
            return self._worthwhile(model, method, costs)
        if options.draft_length == "auto":
            bound = None if options.candidates == "auto" else options.candidates
            return drafter, AdaptiveLength(costs, drafter.longest, bound if branches else 1)
        if longest > drafter.longest:
            raise UserError(f"draft_length {longest}: the head of {method!r} drafts at most {drafter.longest} tokens")
        candidates = 1 if options.candidates == "auto" else options.candidates
        if candidates > 1 and not branches:
            raise UserError(
                f"candidates {candidates}: method {method!r} with rule {options.verify!r} drafts one at a depth; "
                "leave it out"
            )
        return drafter, FixedLength(longest, candidates)

    def _worthwhile(self, model: TextToSemantic, method: str, costs: DraftCosts) -> tuple[Drafter, LengthPolicy]:
        """As much as is worth its time, up to twice what was measured."""
        drafter = WorthwhileDrafts(self.drafter(model, method, 2 * costs.longest), costs)
        return drafter, DraftOrNot(costs, drafter.longest, MOST_NODES)

    def _independent(
        self, drafter: Drafter, method: str, costs: DraftCosts, options: DecodeOptions
    ) -> tuple[Drafter, LengthPolicy]:
        """Two drafts or as many as wanted, of a fixed length."""
        if drafter.branches == "nowhere":
            raise UserError(f"verify 'k-seq' needs drafts drawn independently, which {method!r} cannot; take another")
        chains = 2 if options.candidates == "auto" else options.candidates
        best = costs.speedup(options.batch_size)[1].depth
        length = best if options.draft_length == "auto" else options.draft_length
        return IndependentDrafts(drafter, chains), FixedLength(min(length, drafter.longest), chains)

    def drafter(self, model: TextToSemantic, method: str, longest: int) -> Drafter:
        """A fresh drafter of a `method` that can run, for drafts of up to `longest` tokens or what its head can do."""
        if method == "jacobi":
            return JacobiDrafter(model.decoder, longest)
        if method == "layer-skip" and self.tuning.skip is not None:
            return LayerSkipDrafter(model.decoder, self.tuning.skip, longest)
        if method == "ngram":
            return NgramDrafter(longest)
        head = self.draft_model if method == "draft-model" else self.heads.get(method)
        if head is not None:
            head.eval()
        if isinstance(head, EarlyExit):
            return EarlyExitDrafter(head, model.decoder, longest)
        if isinstance(head, Prophet):
            return ProphetDrafter(head, longest)
        if isinstance(head, ParallelHead):
            return ParallelDrafter(head, longest)
        if isinstance(head, Recurrent):
            return RecurrentDrafter(head, longest)
        if isinstance(head, TextToSemantic):
            return DraftModelDrafter(head, model.config, longest)
        raise UserError(f"method {method!r}: {type(head).__name__} is no head that can draft")
