"""How well a draft head says what its decoder will say: the loss it learns from, and acceptance as decoding sees it.

Tensors in, tensors out. P positions at which a round of drafts may start, n tokens drafted from each.
Knows neither heads nor batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from spear_accel.decoding.sampling import SamplingParams, choose, log_probabilities
from spear_accel.errors import UserError
from spear_accel.training.heads.config import PositionShare
from spear_accel.training.loop.losses import IGNORED
from spear_accel.training.loop.settings import NotNegative

__all__ = ["AcceptanceCounts", "HeadLoss", "HeadReport", "Labels", "ahead"]

STEPS_SHOWN = 4
"""Draft length at which single_step heads are reported."""
_DECAY = 0.8


@dataclass(frozen=True)
class HeadLoss:
    """What a head is rewarded for."""

    distill: NotNegative = 1.0
    """Weight of the divergence from the decoder's own distribution."""
    cross_entropy: NotNegative = 0.0
    """Weight of the negative log-probability of the token itself."""
    position_weights: tuple[NotNegative, ...] = ()
    """Weight of each depth of the draft; if empty, 1, 0.8, 0.64 ...: a token counts only after the earlier ones."""
    positions: PositionShare | None = None
    """Share of the positions that a batch uses; data.positions if None."""

    def __post_init__(self) -> None:
        if self.distill + self.cross_entropy == 0.0:
            raise UserError("distill or cross_entropy must be above 0")
        if self.position_weights and self.position_weights[0] == 0.0:
            raise UserError("the first of position_weights must be above 0")

    def weights(self, horizon: int) -> list[float]:
        """One weight a depth.

        Raises:
            UserError: The list given has another length.
        """
        if self.position_weights and len(self.position_weights) != horizon:
            raise UserError(f"loss: {len(self.position_weights)} position_weights for a horizon of {horizon}")
        return [*self.position_weights] or [_DECAY**depth for depth in range(horizon)]

    def __call__(self, logits: Tensor, labels: Labels, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss [] of a head's logits [B, P, n, V] and the weight [] it carries.

        The divergence is the Kullback-Leibler divergence of the two distributions *after* temperature: those are what
        the verification rule compares (cf. Hinton et al. 2015, whose temperature serves training alone).
        """
        horizon = logits.shape[2]
        tokens = ahead(labels.tokens, positions, horizon, IGNORED)
        depths = torch.tensor(self.weights(horizon), dtype=torch.float32, device=logits.device)
        weight = (tokens != IGNORED) * depths
        scores = rearrange(logits.float(), "b p n v -> (b p n) v")
        cost = torch.zeros_like(weight)
        if self.distill:
            wanted = ahead(labels.probabilities, positions, horizon)
            wanted = rearrange(wanted, "b p n v -> (b p n) v")
            cross = F.cross_entropy(scores / labels.distill_temperature, wanted, reduction="none")
            cost = cost + self.distill * (cross.view_as(cost) - ahead(labels.entropy, positions, horizon))
        if self.cross_entropy:
            distribution = scores / labels.token_temperature
            said = F.cross_entropy(distribution, tokens.flatten(), reduction="none", ignore_index=IGNORED)
            cost = cost + self.cross_entropy * said.view_as(cost)
        return (cost * weight).sum(), weight.sum()


@dataclass(frozen=True)
class Labels:
    """What the heads should predict after each input."""

    logits: Tensor
    """The decoder's [B, T + 1, V]; no gradient flows back to it."""
    tokens: Tensor
    """int64 [B, T + 1], `IGNORED` where nothing is to be predicted."""
    probabilities: Tensor
    """The decoder's [B, T + 1, V] at `distill_temperature`."""
    entropy: Tensor
    """Of the probabilities, [B, T + 1], in nats."""
    distill_temperature: float
    token_temperature: float
    """At which the tokens were drawn."""

    @classmethod
    def of(cls, logits: Tensor, tokens: Tensor, distill_temperature: float, token_temperature: float) -> Labels:
        """Makes labels from the decoder's logits and the tokens."""
        logits = logits.detach()
        log_probs = (logits.float() / distill_temperature).log_softmax(-1)
        probabilities = log_probs.exp()
        entropy = -torch.linalg.vecdot(probabilities, log_probs)
        return cls(logits, tokens, probabilities, entropy, distill_temperature, token_temperature)


def ahead(values: Tensor, positions: Tensor, count: int, beyond: int | None = None) -> Tensor:
    """values [B, S, ...] at positions[p] + j for j < count: [B, P, count, ...].

    Past the end stands `beyond` or, where it is None, the last value.
    """
    wanted = positions[:, None] + torch.arange(count, device=positions.device)
    last = values.shape[1] - 1
    found = values[:, wanted.clamp_max(last)]
    return found if beyond is None else found.masked_fill(wanted > last, beyond)


@dataclass
class AcceptanceCounts:
    """Sums over batches: how often a head's draw was the decoder's draw with the same noise."""

    single_step: bool = False
    """Whether deeper drafts are the same step again, so that the positions behind stand for them (`DraftHead`)."""
    hits: list[float] = field(default_factory=list)
    chains: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)

    def add(self, drafted: Tensor, said: Tensor) -> None:
        """drafted: the head's draws [B, P, n]; said: the decoder's, `IGNORED` where nothing counts.

        A single_step head, n = 1 at every position, is followed along `STEPS_SHOWN` positions.
        """
        counted = said != IGNORED
        hits = (drafted == said) & counted
        if self.single_step:
            hits, counted = _along(hits), _along(counted)
        sums = [x.sum((0, 1)).tolist() for x in (hits, hits.cumprod(2), counted)]
        for own, new in zip((self.hits, self.chains, self.counted), sums, strict=True):
            own[:] = [a + b for a, b in zip(own or [0.0] * len(new), new, strict=True)]

    def metrics(self) -> dict[str, float]:
        """`acceptance_j`: of the j-th draft where those before it are right; `chain_j`: that the first j are all
        accepted; `tokens_per_round`: expected for the longest draft, the recovered or bonus token included."""
        number = [max(1.0, count) for count in self.counted]
        chains = [hit / count for hit, count in zip(self.chains, number, strict=True)]
        return {
            **{f"acceptance_{j}": hit / n for j, (hit, n) in enumerate(zip(self.hits, number, strict=True), 1)},
            **{f"chain_{j}": chain for j, chain in enumerate(chains, 1)},
            "tokens_per_round": 1.0 + sum(chains),
        }


@dataclass
class HeadReport:
    """A head's validation, summed over batches."""

    loss: HeadLoss
    sampling: SamplingParams
    """With which head and decoder draw."""
    cost: float = 0.0
    weight: float = 0.0
    agreed: int = 0
    counted: int = 0
    acceptance: AcceptanceCounts = field(default_factory=AcceptanceCounts)

    def add(self, draft: Tensor, positions: Tensor, labels: Labels, gumbel: Tensor | None) -> None:
        """Takes in a batch.

        Args:
            draft: The head's logits [B, P, n, V].
            positions: [P], where its drafts start.
            labels: What it should have predicted.
            gumbel: [B, T + 1, V], the noise that head and decoder share; None if they draw greedily.
        """
        count = draft.shape[2]
        cost, weight = self.loss(draft, labels, positions)
        ignored = ahead(labels.tokens, positions, count, IGNORED) == IGNORED
        likeliest = draft.argmax(-1) == ahead(labels.logits.argmax(-1), positions, count)
        noise = None if gumbel is None else ahead(gumbel, positions, count)
        drawn = choose(log_probabilities(draft, self.sampling), noise)
        wanted = ahead(choose(log_probabilities(labels.logits, self.sampling), gumbel), positions, count)
        self.acceptance.add(drawn, wanted.masked_fill(ignored, IGNORED))
        self.cost, self.weight = self.cost + float(cost), self.weight + float(weight)
        self.agreed += int((likeliest & ~ignored).sum())
        self.counted += int((~ignored).sum())

    def metrics(self) -> dict[str, float]:
        """`loss`, `top1` (share of equal most likely tokens) and those of `AcceptanceCounts`."""
        own = {"loss": self.cost / self.weight, "top1": self.agreed / self.counted}
        return own | self.acceptance.metrics()


def _along(values: Tensor) -> Tensor:
    """bool [B, P, 1] at consecutive positions -> [B, P, STEPS_SHOWN], each with those that follow it."""
    return F.pad(values[..., 0], (0, STEPS_SHOWN - 1)).unfold(1, STEPS_SHOWN, 1)
