"""Running functions of bounded reach over a sequence that arrives in pieces.

Each piece is computed with a bounded number of neighbours on both sides and never with the whole prefix; joined, the
pieces equal the result on the whole sequence. Knows positions only, not what the functions compute.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class ContextWindow:
    """Applies `function` (`[1, n, ...]` -> `[1, n * ratio, ...]`) piece by piece.

    An output at position i must depend on inputs i - reach .. i + reach only, and inputs that do not exist must look
    to the function like the edge of its argument. `least` inputs are finished at once, so that tiny pieces do not
    make it compute mostly context.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], reach: int, ratio: int, least: int = 1) -> None:
        self._function, self._reach, self._ratio, self._least = function, reach, ratio, least
        self._inputs: Tensor | None = None
        self._finished = 0

    def push(self, piece: Tensor, last: bool) -> Tensor | None:
        """Take in a piece `[1, n, ...]` (n may be 0); returns the outputs that it completes, None if there are none."""
        self._inputs = piece if self._inputs is None else torch.cat([self._inputs, piece], dim=1)
        ready = self._inputs.shape[1] - (0 if last else self._reach)
        if ready - self._finished < (1 if last else self._least):
            return None
        outputs = self._function(self._inputs)[:, self._finished * self._ratio : ready * self._ratio]
        kept = max(0, ready - self._reach)
        self._inputs, self._finished = self._inputs[:, kept:], ready - kept
        return outputs
