"""From the name of a rule to its verifier."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.registry import find_rule
from spear_accel.decoding.verify.base import Verifier
from spear_accel.decoding.verify.spec import RuleInputs

__all__ = ["make_verifier"]


def make_verifier(options: DecodeOptions, centroids: Callable[[], Tensor] | None = None, vocab: int = 0) -> Verifier:
    """Make the verifier that `options.verify` names.

    Args:
        options: Of decoding.
        centroids: Loads the centroids of the voice's speech tokenizer, float [units, D]; None where it has none.
        vocab: V, tokens of the target.

    Raises:
        UserError: The rule needs something that the voice lacks, or its package is broken.
    """
    return find_rule(options.verify).make(RuleInputs(options, vocab, centroids))
