"""The training task of draft heads: one pass of the decoder under them teaches them all.

Does not know where the decoder, the heads or the records come from, nor optimisation: that is the loop's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from spear_accel.data.batching import batches_by_length
from spear_accel.decoding.noise import gumbel_from, row_words, uniforms, utterance_key
from spear_accel.decoding.sampling import SamplingParams
from spear_accel.errors import UserError
from spear_accel.heads import DraftHead, Trunk, trunk_pass
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.heads.config import HeadOptions
from spear_accel.training.heads.losses import AcceptanceCounts, HeadLoss, HeadReport, Labels
from spear_accel.training.loop.losses import IGNORED, sequence_loss
from spear_accel.training.text_to_semantic.examples import WeightedExamples, text_ids

__all__ = ["DraftHeadTask", "DraftHeads", "HeadRecords"]

NAME = "draft_heads"
"""Of the one module that the loop updates."""
_FEWEST_POSITIONS = 8


class DraftHeads(nn.Module):
    """What is updated: heads by name, and the decoder under them where it learns along."""

    def __init__(self, heads: Mapping[str, nn.Module], trunk: TextToSemantic | None = None, detach: bool = False):
        super().__init__()
        self.heads = nn.ModuleDict(dict(heads))
        self.trunk = trunk
        self.detach = detach

    def forward(
        self, batch: Mapping[str, Tensor], frozen: Trunk | None, positions: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The trunk's logits [B, T + 1, V], and each head's [B, P, n, V] at its positions [P]."""
        seen = trunk = frozen or trunk_pass(cast("TextToSemantic", self.trunk), batch["source"], batch["semantic"])
        if self.detach:
            seen = trunk.detached()
        return trunk.logits, {
            name: cast("DraftHead", head).forward_teacher_forced(seen, positions[name])
            for name, head in self.heads.items()
        }


@dataclass(frozen=True)
class HeadRecords:
    """What heads learn from: records with `text_ids` and `tokens`, and the `seed` of tokens drawn by decoding."""

    training: Sequence[dict[str, Any]]
    validation: Sequence[dict[str, Any]]
    drawn_at: float | None = None
    """The temperature at which the model itself drew the tokens; None if they are those of a corpus."""


class _OnPolicyExamples(WeightedExamples[dict[str, Tensor]]):
    """Item: source [X], tokens [T], the words of the utterance's noise [2] and its end [1], EOS or `IGNORED`; int64."""

    def __init__(self, records: Sequence[dict[str, Any]], config: TextToSemanticConfig) -> None:
        super().__init__(records, config)
        self._text = [text_ids(record, config) for record in records]
        words = [row_words(int(r.get("seed", 0)), utterance_key(r["text_ids"])) for r in records]
        self._words = torch.tensor(words, dtype=torch.int64)
        # An utterance that was cut off does not end where its tokens do.
        self._ends = [config.eos_id if r.get("stop_reason", "eos") == "eos" else IGNORED for r in records]

    def __getitem__(self, index: int) -> dict[str, Tensor]:  # type: ignore[override]
        return {
            "source": self._text[index],
            "tokens": self.tokens[index],
            "words": self._words[index],
            "end": torch.tensor([self._ends[index]]),
        }


class DraftHeadTask:
    """The `Task` of `spear_accel.training.loop.trainer` for all heads at once."""

    def __init__(
        self,
        options: HeadOptions,
        model: TextToSemantic,
        heads: Mapping[str, nn.Module],
        losses: Mapping[str, HeadLoss],
        records: HeadRecords,
    ) -> None:
        """Checks the records.

        Raises:
            UserError: No record is left to learn from, or one holds ids that the model does not know.
        """
        self.options, self.shape, self._losses = options, model.config, dict(losses)
        self._drawn_at = records.drawn_at
        self._single_step = {name: cast("DraftHead", head).single_step for name, head in heads.items()}
        joint = options.trunk_weight > 0.0
        self._frozen = None if joint else model.eval()
        self.modules: dict[str, nn.Module] = {NAME: DraftHeads(heads, model if joint else None, options.detach)}
        self._training = self._examples(records.training, "training")
        self._validation = self._examples(records.validation, "validation")

    def dataset(self) -> Sequence[Any]:
        return self._training

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        return self._training.epoch(self.options.batch_tokens, number, seed)

    def collate(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """source [B, X], semantic [B, T], targets [B, T + 1] with EOS, `IGNORED` at padding; words [B, 2]."""
        pad = self.shape.semantic_pad_id
        tokens = [example["tokens"] for example in examples]
        ended = [torch.cat((example["tokens"], example["end"])) for example in examples]
        return {
            "source": pad_sequence([e["source"] for e in examples], True, self.shape.text_pad_id),
            "semantic": pad_sequence(tokens, True, pad),
            "targets": pad_sequence(ended, True, IGNORED),
            "words": torch.stack([e["words"] for e in examples]),
        }

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        length = batch["targets"].shape[1]
        positions = {name: self._drawn(name, length).to(batch["targets"].device) for name in self._single_step}
        logits, drafts = modules[NAME](batch, self._trunk(batch), positions)
        labels = self._labels(logits, batch)
        total, metrics = logits.new_zeros(()), {}
        for name, draft in drafts.items():
            cost, weight = self._losses[name](draft, labels, positions[name])
            loss = cost / weight.clamp_min(torch.finfo(weight.dtype).tiny)
            metrics[f"{name}/loss"] = float(loss.detach())
            total = total + loss
        if self._frozen is None:
            own = sequence_loss(logits, batch["targets"], self.options.label_smoothing)
            metrics["trunk/loss"] = float(own.detach())
            total = total + self.options.trunk_weight * own
        yield NAME, total, metrics

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        """Per head: loss, top-1 agreement with the trunk, and acceptance under `coupled` verification.

        On the model's own samples the noise is the one that drew them, so acceptance is that of decoding these very
        utterances, averaged over all positions where a round may start.
        """
        reports = {
            name: HeadReport(self._losses[name], self._sampling, acceptance=AcceptanceCounts(single_step))
            for name, single_step in self._single_step.items()
        }
        own, number = 0.0, 0
        for indices in batches_by_length(self._validation.lengths, self.options.batch_tokens, number=0, seed=0):
            device = next(modules[NAME].parameters()).device
            batch = {k: v.to(device) for k, v in self.collate([self._validation[i] for i in indices]).items()}
            positions = {name: self._spread(name, batch["targets"].shape[1]).to(device) for name in self._single_step}
            logits, drafts = modules[NAME](batch, self._trunk(batch), positions)
            labels, gumbel = self._labels(logits, batch), self._noise(batch)
            for name, draft in drafts.items():
                reports[name].add(draft, positions[name], labels, gumbel)
            own += float(sequence_loss(logits, batch["targets"], reduction="sum"))
            number += int((batch["targets"] != IGNORED).sum())
        metrics = {f"{name}/{key}": v for name, report in reports.items() for key, v in report.metrics().items()}
        return {**metrics, "trunk/loss": own / number}

    @property
    def _sampling(self) -> SamplingParams:
        """Of decoding: acceptance is measured at it."""
        return SamplingParams(self.options.distill_temperature if self._drawn_at is None else self._drawn_at)

    def _trunk(self, batch: dict[str, Tensor]) -> Trunk | None:
        if self._frozen is None:
            return None
        # Not inference mode: the heads' weights learn from these numbers.
        with torch.no_grad():
            return trunk_pass(self._frozen.to(batch["source"].device), batch["source"], batch["semantic"])

    def _labels(self, logits: Tensor, batch: dict[str, Tensor]) -> Labels:
        # Tokens that were drawn greedily teach like those of a corpus.
        token_temperature = self._drawn_at or 1.0
        return Labels.of(logits, batch["targets"], self.options.distill_temperature, token_temperature)

    def _share(self, name: str) -> float:
        """A single_step head gets all positions at no more cost."""
        given = self._losses[name].positions
        return given or (1.0 if self._single_step[name] else self.options.positions)

    def _drawn(self, name: str, length: int) -> Tensor:
        """Positions for a training batch of `length` inputs, from torch's generator."""
        share = self._share(name)
        if share == 1.0:
            return torch.arange(length)
        return torch.randperm(length)[: max(_FEWEST_POSITIONS, round(share * length))].sort().values

    def _spread(self, name: str, length: int) -> Tensor:
        """Positions for validation: every one, or evenly spaced ones."""
        return torch.arange(0, length, 1 if self._single_step[name] else round(1.0 / self._share(name)))

    def _noise(self, batch: dict[str, Tensor]) -> Tensor | None:
        """Gumbel noise [B, T + 1, V] of every position of the batch; None for greedy decoding."""
        if self._sampling.greedy:
            return None
        targets = batch["targets"]
        slots = torch.arange(targets.shape[1], device=targets.device).expand_as(targets)
        return gumbel_from(uniforms(batch["words"], slots, torch.arange(self.shape.vocab, device=targets.device)))

    def _examples(self, records: Sequence[dict[str, Any]], part: str) -> _OnPolicyExamples:
        longest = self.options.longest_tokens
        usable = ("eos", "max_length")
        kept = [r for r in records if 0 < len(r["tokens"]) <= longest and r.get("stop_reason", "eos") in usable]
        if not kept:
            raise UserError(f"no usable {part} utterance of 1 to {longest} tokens; add texts or train the trunk longer")
        return _OnPolicyExamples(kept, self.shape)
