"""The CTC task from one row of ids to another: letters to phonemes, semantic tokens to letters.

Knows batches, the loss and the error rate. What is read, what is written and by which network its users say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from spear_accel.data.batching import batches_by_length
from spear_accel.training.loop.losses import best_path, ctc_loss_per_symbol, symbol_errors

__all__ = ["CtcOptions", "CtcTask", "Pair"]

Pair = tuple[Tensor, Tensor]
"""What is read [S] and what is to be written [U], both int64; 0 is never written, it is CTC's blank."""


@dataclass(frozen=True)
class CtcOptions:
    """What differs between the users of `CtcTask`, beside the data."""

    name: str
    """The module's name in checkpoints."""
    pad: int
    """Id behind the end of short rows."""
    batch_ids: int
    """Padded ids read in a batch."""
    metric: str
    """Name of the validation metric that holds the share of wrong symbols."""
    frames: int = 1
    """Frames of logits for each id read."""


class CtcTask:
    """A `Task` of `spear_accel.training.loop.trainer` for a module from ids [B, S] to logits of each."""

    def __init__(
        self, module: nn.Module, options: CtcOptions, training: Sequence[Pair], validation: Sequence[Pair]
    ) -> None:
        self.modules: dict[str, nn.Module] = {options.name: module}
        self._options = options
        self._training, self._validation = (_writable(pairs, options.frames) for pairs in (training, validation))
        self._lengths = np.array([len(source) for source, _ in self._training])

    def dataset(self) -> Sequence[Any]:
        return self._training

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        return batches_by_length(self._lengths, self._options.batch_ids, number=number, seed=seed)

    def collate(self, examples: list[Pair]) -> dict[str, Tensor]:
        """source [B, S], targets [all symbols], target_lengths [B]."""
        sources, targets = zip(*examples, strict=True)
        return {
            "source": pad_sequence(list(sources), batch_first=True, padding_value=self._options.pad),
            "targets": torch.cat(targets),
            "target_lengths": torch.tensor([len(item) for item in targets]),
        }

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        loss = self._loss(modules[self._options.name](batch["source"]), batch)
        yield self._options.name, loss, {"loss": float(loss.detach())}

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        """CTC loss in nats a symbol, and the symbol error rate of the best path."""
        device = next(modules[self._options.name].parameters()).device
        batch = {key: value.to(device) for key, value in self.collate([*self._validation]).items()}
        logits = modules[self._options.name](batch["source"])
        found = best_path(logits, self._frames(batch))
        wanted = [target.tolist() for _, target in self._validation]
        return {"loss": float(self._loss(logits, batch)), self._options.metric: symbol_errors(found, wanted)}

    def _loss(self, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        return ctc_loss_per_symbol(logits, self._frames(batch), batch["targets"], batch["target_lengths"])

    def _frames(self, batch: dict[str, Tensor]) -> Tensor:
        """Frames of each row [B]."""
        return (batch["source"] != self._options.pad).sum(dim=1) * self._options.frames


def _writable(pairs: Sequence[Pair], frames: int) -> list[Pair]:
    """CTC writes at most one symbol a frame; the few pairs with more would give no gradient."""
    return [(source, target) for source, target in pairs if 0 < len(target) < len(source) * frames]
