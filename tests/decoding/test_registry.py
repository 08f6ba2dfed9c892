"""Methods and rules by name: what this package brings, what installed packages add, and packages that are broken."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.draft.ngram import NgramDrafter
from spear_accel.decoding.draft.spec import MethodSpec
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.registry import DRAFTERS, VERIFIERS, find_method, find_rule, method_names, rule_names
from spear_accel.decoding.verify.rejection import Lenient
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from tests.plugins import install

PACKAGE = """
from spear_accel.decoding.draft.ngram import NgramDrafter
from spear_accel.decoding.draft.spec import MethodSpec
from spear_accel.decoding.verify.rejection import Lenient
from spear_accel.decoding.verify.spec import RuleSpec

METHOD = MethodSpec("echo", "what was said before", lambda inputs: NgramDrafter(min(2, inputs.longest)))
RULE = RuleSpec("half", "with min(1, 2 p / q)", lossless=False, make=lambda inputs: Lenient(0.5))
"""
DRAFTS = {"echo": "echoing:METHOD", "rotten": "rotten:METHOD", "other": "echoing:RULE", "twice": "echoing:METHOD"}


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drafter and a rule that work, a drafter that cannot be imported, and two entry points that name no drafter."""
    files = {"echoing.py": PACKAGE, "rotten.py": "raise ImportError('nothing to import here')"}
    install(tmp_path, monkeypatch, files, {DRAFTERS: DRAFTS, VERIFIERS: {"half": "echoing:RULE"}})


def test_every_name_of_this_package_is_described() -> None:
    for method in map(find_method, method_names()):
        assert method.summary and method.name in method_names()
        assert (method.head is None) == (method.needs != "head")
        assert method.head is None or method.head.kind == method.name
    for rule in map(find_rule, rule_names()):
        assert rule.summary and rule.name in rule_names()


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="method 'oracle' is unknown; choose one of auto, autoregressive, draft-model"):
        DecodeOptions(method="oracle")
    with pytest.raises(UserError, match="verify 'hope' is unknown; choose one of coupled, rejection, k-seq"):
        DecodeOptions(verify="hope")


def test_installed_drafters_and_rules_are_found_by_name(plugged: None, model: TextToSemantic) -> None:
    assert method_names()[-4:] == ("echo", "other", "rotten", "twice") and rule_names()[-1] == "half"
    options = DecodeOptions(method="echo", verify="half", draft_length=2)
    assert Drafting().resolve(options, 1) == "echo"
    drafter, controller = Drafting().prepare(model, "echo", options)
    assert isinstance(drafter, NgramDrafter) and drafter.longest == controller.max_nodes == 2
    assert isinstance(make_verifier(options), Lenient)


def test_a_broken_package_is_one_line_that_names_it(plugged: None, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UserError, match=r"drafter 'rotten'.*'plugged'.*nothing to import here.*remove"):
        Drafting().resolve(DecodeOptions(method="rotten"), 1)
    for name in ("other", "twice"):
        with pytest.raises(UserError, match=rf"drafter '{name}': echoing:\w+ is no MethodSpec of this name.*'plugged'"):
            find_method(name)
    with caplog.at_level(logging.WARNING):
        assert Drafting().methods == ("autoregressive", "ngram", "jacobi", "echo"), "the others still run"
    assert sum("'plugged'" in line for line in caplog.messages) == 3


def test_auto_imports_only_what_the_voice_was_tuned_for(plugged: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Drafting().resolve(DecodeOptions(), 1) == "autoregressive"
    assert not caplog.messages
    fast = Tuning({"echo": DraftCosts(((0.9,),) * 2, {1: (1.0, 1.1, 1.2)})})
    assert Drafting(tuning=fast).resolve(DecodeOptions(), 1) == "echo"


def test_a_method_with_a_head_says_that_it_needs_one() -> None:
    with pytest.raises(ValueError, match="give the head exactly where"):
        MethodSpec("seer", "", lambda inputs: NgramDrafter(1), needs="head")
