"""From the name of a method to its drafter and the controller of its drafts, for one voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from spear_accel.decoding.control.base import SpeculationController
from spear_accel.decoding.control.choice import deepest_draft, make_controller
from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.draft.iid import IndependentDrafts
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.registry import find_method, find_rule, is_built_in, loadable, method_names
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic

__all__ = ["Drafting"]


@dataclass(frozen=True)
class Drafting:
    """Everything that a target model can draft with, and what is known of its speed."""

    heads: Mapping[str, nn.Module] = field(default_factory=dict)
    """Draft heads by method."""
    draft_model: TextToSemantic | None = None
    tuning: Tuning = field(default_factory=Tuning)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that can run: "autoregressive" first, then by preference."""
        return tuple(spec.name for spec in self._able(method_names()))

    def resolve(self, options: DecodeOptions, utterances: int) -> str:
        """The method that decodes `utterances` under `options`: "auto" becomes a name.

        Raises:
            UserError: The method needs something that the voice lacks, or the package that brings it is broken.
        """
        if options.method != "auto":
            self._check(find_method(options.method))
            return options.method
        if options.draft_length == 0:
            return "autoregressive"
        # Methods of other packages are imported only where this voice was tuned or trained for them.
        known = [name for name in method_names() if is_built_in(name) or name in {*self.tuning.methods, *self.heads}]
        specs = self._able(known)
        # Without measurements a head is a good guess, and a draft without training is not.
        trained = [spec.name for spec in specs if not spec.training_free]
        available = [*trained, *(spec.name for spec in specs if spec.training_free)]
        return self.tuning.best_method(max(1, min(options.batch_size, utterances)), available)

    def prepare(
        self, model: TextToSemantic, method: str, options: DecodeOptions
    ) -> tuple[Drafter, SpeculationController]:
        """Make a fresh drafter of a resolved `method`, and the controller of its drafts.

        Raises:
            UserError: The options ask for more than the method can draft.
        """
        rule, costs = find_rule(options.verify), self.costs(method)
        drafter = self.drafter(model, method, deepest_draft(costs, options))
        if rule.drafts == "independent":
            drafter = IndependentDrafts(drafter)
        return drafter, make_controller(method, drafter, costs, rule, options)

    def drafter(self, model: TextToSemantic, method: str, longest: int) -> Drafter:
        """Make a fresh drafter for drafts of up to `longest` tokens, or of what its head can do.

        Raises:
            UserError: The method needs something that the voice lacks, or the package that brings it is broken.
        """
        spec, head = find_method(method), self.heads.get(method)
        self._check(spec)
        for module in (head, self.draft_model):
            if module is not None:
                module.eval()
        return spec.make(DrafterInputs(model, longest, head, self.draft_model, self.tuning.skip))

    def costs(self, method: str) -> DraftCosts:
        """Measured costs of a method, or its own guess."""
        measured = self.tuning.methods.get(method)
        return find_method(method).costs if measured is None else measured

    def _able(self, names: Sequence[str]) -> list[MethodSpec]:
        """Those of the methods that can run, by preference."""
        return sorted((spec for spec in loadable(names) if self._has(spec)), key=lambda spec: spec.preference)

    def _has(self, spec: MethodSpec) -> bool:
        """Whether the voice has what the method needs."""
        return {
            "nothing": True,
            "head": spec.name in self.heads,
            "draft model": self.draft_model is not None,
            "skip set": self.tuning.skip is not None,
        }[spec.needs]

    def _check(self, spec: MethodSpec) -> None:
        if self._has(spec):
            return
        missing = {
            "draft model": "a draft model: a small voice with the same tokens (--draft-model)",
            "skip set": "a skip set in decoding.json, which this voice lacks; spear-accel accelerate finds one",
            "head": f"a head that this voice lacks (it can run {', '.join(self.methods)}); "
            "train one with: spear-accel train heads CONFIG.yaml",
        }
        raise UserError(f"method {spec.name!r} needs {missing[spec.needs]}")
