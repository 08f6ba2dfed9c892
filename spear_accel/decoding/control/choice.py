"""Which controller plans the drafts of a method under given options."""

from __future__ import annotations

from spear_accel.decoding.control.adaptive import AdaptiveController
from spear_accel.decoding.control.base import SpeculationController
from spear_accel.decoding.control.confidence import MAX_DEPTH, ConfidenceExitController
from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.dynamic import DynamicTreeController
from spear_accel.decoding.control.fixed import FixedController
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.draft.iid import side_by_side
from spear_accel.decoding.options import MOST_NODES, DecodeOptions
from spear_accel.decoding.tree import chain, comb
from spear_accel.decoding.verify.spec import RuleSpec
from spear_accel.errors import UserError

__all__ = ["deepest_draft", "make_controller"]


def deepest_draft(costs: DraftCosts, options: DecodeOptions) -> int:
    """The depth for which the drafter is made."""
    return max(MAX_DEPTH, 2 * costs.longest) if options.draft_length == "auto" else options.draft_length


def make_controller(
    method: str, drafter: Drafter, costs: DraftCosts, rule: RuleSpec, options: DecodeOptions
) -> SpeculationController:
    """Choose by what the options leave to measurement and what drafter and rule can do.

    Args:
        method: Name of the method, for errors.
        drafter: Made for drafts of `deepest_draft`.
        costs: What tuning measured of the method.
        rule: Verifies the drafts.
        options: Of these `draft_length`, `candidates`, `draft_exit`, `batch_size` and whether the temperature is 0
            count.

    Raises:
        UserError: The draft length or the candidates are more than the method can draft.
    """
    if not drafter.longest:
        return FixedController(chain(0))
    if rule.drafts == "independent":
        return _independent(method, drafter, costs, options)
    branching = drafter.topology != "chain" and rule.drafts == "tree"
    if options.draft_exit:
        longest = MAX_DEPTH if options.draft_length == "auto" else options.draft_length
        return ConfidenceExitController(min(longest, drafter.longest), options.sampling.greedy)
    if options.draft_length == "auto":
        if options.candidates == "auto" and rule.accepts_draws and drafter.autoregressive:
            return DynamicTreeController(costs, min(2 * costs.longest, drafter.longest), branching)
        bound = None if options.candidates == "auto" else options.candidates
        return AdaptiveController(costs, drafter.longest, bound if branching else 1)
    return _fixed(method, drafter, options.draft_length, options, branching)


def _fixed(
    method: str, drafter: Drafter, length: int, options: DecodeOptions, branching: bool
) -> SpeculationController:
    if length > drafter.longest:
        raise UserError(f"draft_length {length}: the head of {method!r} drafts at most {drafter.longest} tokens")
    candidates = 1 if options.candidates == "auto" else options.candidates
    if candidates > 1 and not branching:
        raise UserError(
            f"candidates {candidates}: method {method!r} with rule {options.verify!r} drafts one at a depth; "
            "leave it out"
        )
    return FixedController(comb((candidates,) * length))


def _independent(method: str, drafter: Drafter, costs: DraftCosts, options: DecodeOptions) -> SpeculationController:
    """Two chains or as many as asked for, of the length that tuning expects most of at full batches.

    Raises UserError if the drafter cannot draw independent chains.
    """
    if drafter.topology == "chain":
        raise UserError(
            f"verify {options.verify!r} needs drafts drawn independently, which {method!r} cannot; take another"
        )
    chains = 2 if options.candidates == "auto" else options.candidates
    best = costs.speedup(options.batch_size)[1].depth
    length = best if options.draft_length == "auto" else options.draft_length
    return FixedController(side_by_side(chains, min(length, drafter.longest, max(1, MOST_NODES // chains))))
