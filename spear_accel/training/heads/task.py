"""The training task of draft heads: one pass of the decoder under them teaches them all.

Does not know where the decoder, the heads or the records come from, nor optimisation: that is the loop's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from spear_accel.data.batching import batches_by_length
from spear_accel.decoding.noise import gumbel_from, row_words, uniforms, utterance_key
from spear_accel.decoding.sampling import SamplingParams
from spear_accel.errors import UserError
from spear_accel.heads import DraftHead, Trunk, trunk_pass
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.heads.config import DraftHeadTraining
from spear_accel.training.heads.losses import AcceptanceCounts, HeadLoss, HeadReport, Labels
from spear_accel.training.loop.losses import IGNORED, sequence_loss
from spear_accel.training.text_to_semantic.train import Examples

__all__ = ["DraftHeadTask", "DraftHeads"]

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


class _Utterances(Examples):
    """Item: source [X], tokens [T], the words of the utterance's noise [2] and its end [1], EOS or `IGNORED`; int64."""

    def __init__(self, records: Sequence[dict[str, Any]], shape: TextToSemanticConfig) -> None:
        super().__init__(records, shape, None, 1.0)
        words = [row_words(int(r.get("seed", 0)), utterance_key(r["text_ids"])) for r in records]
        self.words = torch.tensor(words, dtype=torch.int64)
        # An utterance that was cut off does not end where its tokens do.
        self.ends = [shape.eos_id if r.get("stop_reason", "eos") == "eos" else IGNORED for r in records]

    def __getitem__(self, index: int) -> dict[str, Tensor]:  # type: ignore[override]
        return {
            "source": self.text[index], "tokens": self.tokens[index], "words": self.words[index],
            "end": torch.tensor([self.ends[index]]),
        }  # fmt: skip


class DraftHeadTask:
    """The `Task` of `spear_accel.training.loop` for all heads at once."""

    def __init__(
        self,
        config: DraftHeadTraining,
        model: TextToSemantic,
        heads: Mapping[str, nn.Module],
        losses: Mapping[str, HeadLoss],
        training: Sequence[dict[str, Any]],
        validation: Sequence[dict[str, Any]],
    ) -> None:
        """training, validation: records with ``text_ids`` and ``tokens``, and the ``seed`` of tokens drawn by decoding.

        Raises:
            UserError: No record is left to learn from, or one holds ids that the model does not know.
        """
        self.config, self.shape, self._losses = config, model.config, dict(losses)
        self._single_step = {name: cast("DraftHead", head).single_step for name, head in heads.items()}
        joint = config.trunk_weight > 0.0
        self._frozen = None if joint else model.eval()
        self.modules: dict[str, nn.Module] = {NAME: DraftHeads(heads, model if joint else None, config.detach)}
        self._training = self._examples(training, "training")
        self._validation = self._examples(validation, "validation")

    def dataset(self) -> Sequence[Any]:
        return self._training

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        weights = self._training.weights
        counts = np.floor(weights + np.random.default_rng((seed, number, 1)).random(len(weights))).astype(np.int64)
        order = np.repeat(np.arange(len(weights)), counts)
        return batches_by_length(
            self._training.lengths, self.config.batch_tokens, number=number, seed=seed, order=order
        )

    def collate(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """source [B, X], semantic [B, T], targets [B, T + 1] with EOS, `IGNORED` at padding; words [B, 2]."""
        pad = self.shape.semantic_pad_id
        tokens = [example["tokens"] for example in examples]
        said = [torch.cat((example["tokens"], example["end"])) for example in examples]
        return {
            "source": pad_sequence([e["source"] for e in examples], True, self.shape.text_pad_id),
            "semantic": pad_sequence(tokens, True, pad),
            "targets": pad_sequence(said, True, IGNORED),
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
            own = sequence_loss(logits, batch["targets"], self.config.label_smoothing)
            metrics["trunk/loss"] = float(own.detach())
            total = total + self.config.trunk_weight * own
        yield NAME, total, metrics

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        """Per head: loss, top-1 agreement with the trunk, and acceptance under `coupled` verification.

        On the model's own samples the noise is the one that drew them, so acceptance is that of decoding these very
        utterances, averaged over all positions where a round may start.
        """
        reports = {
            name: HeadReport(acceptance=AcceptanceCounts(single_step))
            for name, single_step in self._single_step.items()
        }
        own, number = 0.0, 0
        for indices in batches_by_length(self._validation.lengths, self.config.batch_tokens, number=0, seed=0):
            device = next(modules[NAME].parameters()).device
            batch = {k: v.to(device) for k, v in self.collate([self._validation[i] for i in indices]).items()}
            positions = {name: self._spread(name, batch["targets"].shape[1]).to(device) for name in self._single_step}
            logits, drafts = modules[NAME](batch, self._trunk(batch), positions)
            labels, gumbel = self._labels(logits, batch), self._noise(batch)
            for name, draft in drafts.items():
                reports[name].add(self._losses[name], draft, positions[name], labels, logits, self._sampling, gumbel)
            own += float(sequence_loss(logits, batch["targets"], reduction="sum"))
            number += int((batch["targets"] != IGNORED).sum())
        metrics = {f"{name}/{key}": v for name, report in reports.items() for key, v in report.metrics().items()}
        return {**metrics, "trunk/loss": own / number}

    @property
    def _sampling(self) -> SamplingParams:
        return SamplingParams(self.config.sampling_temperature)

    def _trunk(self, batch: dict[str, Tensor]) -> Trunk | None:
        if self._frozen is None:
            return None
        # Not inference mode: the heads' weights learn from these numbers.
        with torch.no_grad():
            return trunk_pass(self._frozen.to(batch["source"].device), batch["source"], batch["semantic"])

    def _labels(self, logits: Tensor, batch: dict[str, Tensor]) -> Labels:
        return Labels.of(logits, batch["targets"], self.config.distill_temperature, self.config.token_temperature)

    def _share(self, name: str) -> float:
        """A single_step head gets all positions at no more cost."""
        given = self._losses[name].positions
        return given or (1.0 if self._single_step[name] else self.config.positions)

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

    def _examples(self, records: Sequence[dict[str, Any]], part: str) -> _Utterances:
        longest = self.config.longest_tokens
        usable = ("eos", "max_length")
        kept = [r for r in records if 0 < len(r["tokens"]) <= longest and r.get("stop_reason", "eos") in usable]
        if not kept:
            raise UserError(f"no usable {part} utterance of 1 to {longest} tokens; add texts or train the trunk longer")
        return _Utterances(kept, self.shape)
