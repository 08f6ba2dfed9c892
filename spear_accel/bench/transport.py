"""How much any rule could accept of independent drafts: the optimal transport from q^k to p, in closed form.

By max-flow min-cut, what is left over is the largest excess of p over what the drafts reach,
max over sets S of p(S) - (1 - (1 - q(S))^k). Sets are tried in order of p / q, as prefixes (Hu et al. 2025, "Towards
optimal multi-draft speculative decoding", arXiv 2502.18779). Sun et al. 2023 (SpecTr) put the problem. Knows
distributions only.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["independent_bound"]


def independent_bound(p: Tensor, q: Tensor, count: int) -> Tensor:
    """Chance [...] that one of `count` drafts drawn independently from q [..., V] can be a draw from p [..., V]."""
    ratio = torch.where(q > 0.0, p / q.clamp_min(torch.finfo(q.dtype).tiny), torch.inf)
    order = ratio.argsort(dim=-1, descending=True)
    inside, drafted = (distribution.gather(-1, order).cumsum(-1) for distribution in (p, q))
    excess = inside - (1.0 - (1.0 - drafted.clamp_max(1.0)) ** count)
    return 1.0 - excess.amax(dim=-1).clamp_min(0.0)
