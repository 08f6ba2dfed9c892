"""Finds methods and verification rules by name: those of this package and those of installed packages.

Another package brings a drafter by an entry point in the group `spear_accel.drafters` whose value is a `MethodSpec`,
and a rule by one in the group `spear_accel.verifiers` whose value is a `RuleSpec` (docs/add_a_drafter.md). Those of
this package are named in the same form. Names are known without importing anything; a spec is imported when it is asked
for.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from spear_accel.errors import UserError
from spear_accel.storage.entry_points import load_entry, package_of

if TYPE_CHECKING:
    from spear_accel.decoding.draft.spec import MethodSpec
    from spear_accel.decoding.verify.spec import RuleSpec

__all__ = [
    "DRAFTERS", "VERIFIERS", "check_method", "check_rule", "find_method", "find_rule", "installed_names", "is_built_in",
    "loadable", "method_names", "rule_names",
]  # fmt: skip

DRAFTERS, VERIFIERS = "spear_accel.drafters", "spear_accel.verifiers"
_METHODS = {
    "autoregressive": "spear_accel.decoding.draft.autoregressive:METHOD",
    "draft-model": "spear_accel.decoding.draft.draft_model:METHOD",
    "early-exit": "spear_accel.decoding.draft.early_exit:METHOD",
    "prophet": "spear_accel.decoding.draft.prophet:METHOD",
    "prophet-linear": "spear_accel.decoding.draft.parallel:PROPHET_LINEAR",
    "medusa": "spear_accel.decoding.draft.parallel:MEDUSA",
    "recurrent": "spear_accel.decoding.draft.recurrent:METHOD",
    "layer-skip": "spear_accel.decoding.draft.layer_skip:METHOD",
    "ngram": "spear_accel.decoding.draft.ngram:METHOD",
    "jacobi": "spear_accel.decoding.draft.jacobi:METHOD",
}
_RULES = {
    "coupled": "spear_accel.decoding.verify.coupled:RULE",
    "rejection": "spear_accel.decoding.verify.rejection:RULE",
    "k-seq": "spear_accel.decoding.verify.kseq:RULE",
    "lenient": "spear_accel.decoding.verify.rejection:LENIENT",
    "typical": "spear_accel.decoding.verify.typical:RULE",
    "grouped": "spear_accel.decoding.verify.grouped:RULE",
}
_log = logging.getLogger(__name__)


def method_names() -> tuple[str, ...]:
    """Names of all methods: those of this package, then those of installed packages."""
    return (*_METHODS, *sorted(set(_installed(DRAFTERS, tuple(sys.path))) - set(_METHODS)))


def rule_names() -> tuple[str, ...]:
    """Names of all verification rules: those of this package, then those of installed packages."""
    return (*_RULES, *sorted(set(_installed(VERIFIERS, tuple(sys.path))) - set(_RULES)))


def installed_names() -> dict[str, tuple[str, ...]]:
    """Names that other packages bring, by what they are: methods and rules."""
    return {"methods": method_names()[len(_METHODS) :], "rules": rule_names()[len(_RULES) :]}


def is_built_in(method: str) -> bool:
    """Whether this package brings the method."""
    return method in _METHODS


def check_method(name: str) -> None:
    """Raise UserError if there is no method of this name and it is not "auto"."""
    if name != "auto" and name not in _METHODS and name not in method_names():
        raise UserError(f"method {name!r} is unknown; choose one of {', '.join(('auto', *method_names()))}")


def check_rule(name: str) -> None:
    """Raise UserError if there is no rule of this name."""
    if name not in _RULES and name not in rule_names():
        raise UserError(f"verify {name!r} is unknown; choose one of {', '.join(rule_names())}")


def find_method(name: str) -> MethodSpec:
    """The method of a name.

    Raises:
        UserError: No such method, or the package that brings it is broken.
    """
    from spear_accel.decoding.draft.spec import MethodSpec

    check_method(name)
    entry = _entry(name, _METHODS, DRAFTERS)
    spec = load_entry(entry, f"drafter {name!r}")
    if not isinstance(spec, MethodSpec) or spec.name != name:
        raise UserError(
            f"drafter {name!r}: {entry.value} is no MethodSpec of this name; fix or remove {package_of(entry)}"
        )
    return spec


def find_rule(name: str) -> RuleSpec:
    """The verification rule of a name.

    Raises:
        UserError: No such rule, or the package that brings it is broken.
    """
    from spear_accel.decoding.verify.spec import RuleSpec

    check_rule(name)
    entry = _entry(name, _RULES, VERIFIERS)
    spec = load_entry(entry, f"verification rule {name!r}")
    if not isinstance(spec, RuleSpec) or spec.name != name:
        raise UserError(
            f"verification rule {name!r}: {entry.value} is no RuleSpec of this name; fix or remove {package_of(entry)}"
        )
    return spec


def loadable(names: Sequence[str]) -> list[MethodSpec]:
    """The methods of these names, without those whose package is broken, of which a log message tells."""
    specs = []
    for name in names:
        try:
            specs.append(find_method(name))
        except UserError as error:
            _log.warning("%s", error)
    return specs


def _entry(name: str, built_in: dict[str, str], group: str) -> EntryPoint:
    if name in built_in:
        return EntryPoint(name, built_in[name], group)
    return _installed(group, tuple(sys.path))[name]


@lru_cache(maxsize=16)
def _installed(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Entry points by name. path: where packages are looked for; to read all of it takes milliseconds."""
    return {entry.name: entry for entry in entry_points(group=group)}
