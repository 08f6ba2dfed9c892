"""What is refused before anything is decoded: methods, rules and drafts that a voice or a head cannot give."""

from __future__ import annotations

import pytest

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.control.fixed import FixedController
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.draft.parallel import ParallelDrafter
from spear_accel.decoding.draft.prophet import ProphetDrafter
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.tree import chain
from spear_accel.errors import UserError
from spear_accel.heads import Prophet, ProphetLinear
from spear_accel.model import SkipSet, TextToSemantic


def test_k_seq_needs_independent_drafts(model: TextToSemantic, drafting: Drafting) -> None:
    with pytest.raises(UserError, match="k-seq' needs drafts drawn independently"):
        drafting.prepare(model, "early-exit", DecodeOptions(method="early-exit", verify="k-seq"))


def test_skip_sets_that_do_not_fit_are_refused(model: TextToSemantic) -> None:
    for skip, fault in ((SkipSet((3,)), "layer 3 is not there"), (SkipSet((0, 1, 2)), "every attention block")):
        with pytest.raises(UserError, match=fault):
            Drafting(tuning=Tuning(skip=skip)).drafter(model, "layer-skip", 2)
    with pytest.raises(UserError, match="needs a skip set"):
        Drafting().resolve(DecodeOptions(method="layer-skip"), 1)


def test_more_candidates_than_a_method_can_draft_are_refused(model: TextToSemantic, drafting: Drafting) -> None:
    for method, verify in (("early-exit", "coupled"), ("prophet", "rejection")):
        options = DecodeOptions(method=method, verify=verify, draft_length=2, candidates=2)
        with pytest.raises(UserError, match="candidates 2"):
            drafting.prepare(model, method, options)


def test_a_method_without_its_head_is_refused(model: TextToSemantic) -> None:
    with pytest.raises(UserError, match="train one with: spear-accel train heads"):
        Drafting().resolve(DecodeOptions(method="prophet"), 1)
    with pytest.raises(UserError, match="needs a draft model"):
        Drafting().resolve(DecodeOptions(method="draft-model"), 1)
    assert Drafting().resolve(DecodeOptions(), 1) == "autoregressive"


def test_drafts_fit_into_a_target_call(model: TextToSemantic, drafting: Drafting) -> None:
    wide = DecodeOptions(method="prophet", verify="k-seq", candidates=40)
    assert drafting.prepare(model, "prophet", wide)[1].max_nodes == 40, "one token each"
    with pytest.raises(ValueError, match="drafts of 64 nodes"):
        Engine(model, controller=FixedController(chain(64)))


def test_draft_lengths_beyond_the_head_are_refused(model: TextToSemantic, drafting: Drafting) -> None:
    with pytest.raises(UserError, match="drafts at most 8 tokens"):
        drafting.prepare(model, "prophet-linear", DecodeOptions(method="prophet-linear", draft_length=9))
    assert isinstance(drafting.heads["prophet"], Prophet) and isinstance(
        drafting.heads["prophet-linear"], ProphetLinear
    )
    drafter, controller = drafting.prepare(model, "prophet", DecodeOptions(method="prophet", draft_length=12))
    assert isinstance(drafter, ProphetDrafter) and controller.max_nodes == 12
    assert ParallelDrafter(drafting.heads["prophet-linear"], 3).longest == 3  # type: ignore[arg-type]
