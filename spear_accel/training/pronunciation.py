"""Teaches the text encoder to pronounce before it hears anything: CTC from letters to phonemes.

Text with phonemes costs nothing (espeak-ng reads any amount of it), text with speech is dear. An encoder that already
knows which sound a letter stands for leaves text-to-semantic only the alignment and the voice to learn. The CTC head
is thrown away afterwards.
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
from spear_accel.data.manifest import read_manifest
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from spear_accel.training.losses import best_path, ctc_loss_per_symbol, symbol_errors

__all__ = ["Pronouncer", "PronunciationTask", "PronunciationTraining"]

BLANK = "<blank>"


@dataclass(frozen=True)
class PronunciationTraining:
    """Texts and their phonemes."""

    manifests: tuple[str, ...]
    """Files with ``text_ids`` (without EOS) and ``phonemes`` a line."""
    validation: str
    """The same, never trained on."""
    batch_text: int = 6000
    """Padded text ids in a batch."""
    symbols: tuple[str, ...] = ()
    """The phonemes; all that the manifests hold where left out."""

    def __post_init__(self) -> None:
        for name in ("manifests", "symbols"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.manifests:
            raise UserError("data.manifests is empty; name at least one file of texts and phonemes")


class Pronouncer(nn.Module):
    """The text side of a `TextToSemantic` with a CTC head; the decoder rests."""

    def __init__(self, model: TextToSemantic, symbols: int) -> None:
        """symbols: phonemes and the blank."""
        super().__init__()
        self.model = model
        self.head = nn.Linear(model.config.dim, symbols)
        model.decoder.requires_grad_(False)

    def forward(self, text: Tensor) -> Tensor:
        """Text ids [B, X] padded with `text_pad_id` -> logits [B, X, symbols]."""
        logits: Tensor = self.head(self.model.encode(text).hidden)
        return logits


class PronunciationTask:
    """The `Task` of `spear_accel.training.loop`."""

    def __init__(self, config: PronunciationTraining, model: TextToSemantic) -> None:
        self.config, self.shape = config, model.config
        records = [record for path in config.manifests for record in read_manifest(path, ("text_ids", "phonemes"))]
        found = config.symbols or sorted({symbol for record in records for symbol in record["phonemes"]})
        self.symbols = (BLANK, *found)
        self.modules: dict[str, nn.Module] = {"pronouncer": Pronouncer(model, len(self.symbols))}
        self._training = self._examples(records)
        self._validation = self._examples(read_manifest(config.validation, ("text_ids", "phonemes")))
        self._lengths = np.array([len(text) for text, _ in self._training])

    def dataset(self) -> Sequence[Any]:
        return self._training

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        return batches_by_length(self._lengths, self.config.batch_text, number=number, seed=seed)

    def collate(self, examples: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """text [B, X], targets [all phonemes], target_lengths [B]."""
        text, targets = zip(*examples, strict=True)
        return {
            "text": pad_sequence(list(text), batch_first=True, padding_value=self.shape.text_pad_id),
            "targets": torch.cat(targets),
            "target_lengths": torch.tensor([len(item) for item in targets]),
        }

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        loss = self._loss(modules["pronouncer"](batch["text"]), batch)
        yield "pronouncer", loss, {"loss": float(loss.detach())}

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        """CTC loss in nats a phoneme, and the phoneme error rate of the best path."""
        device = next(modules["pronouncer"].parameters()).device
        examples = [self._validation[i] for i in range(len(self._validation))]
        batch = {key: value.to(device) for key, value in self.collate(examples).items()}
        logits = modules["pronouncer"](batch["text"])
        said = best_path(logits, (batch["text"] != self.shape.text_pad_id).sum(dim=1))
        return {
            "loss": float(self._loss(logits, batch)),
            "phoneme_error_rate": symbol_errors(said, [target.tolist() for _, target in examples]),
        }

    def _loss(self, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        lengths = (batch["text"] != self.shape.text_pad_id).sum(dim=1)
        return ctc_loss_per_symbol(logits, lengths, batch["targets"], batch["target_lengths"])

    def _examples(self, records: Sequence[dict[str, Any]]) -> list[tuple[Tensor, Tensor]]:
        index = {symbol: number for number, symbol in enumerate(self.symbols)}
        end = [] if self.shape.text_eos_id is None else [self.shape.text_eos_id]
        pairs = [
            (torch.tensor([*r["text_ids"], *end]), torch.tensor([index[s] for s in r["phonemes"] if s in index]))
            for r in records
        ]
        # CTC writes at most one phoneme a letter; the few texts with more would give no gradient.
        return [(text, phonemes) for text, phonemes in pairs if 0 < len(phonemes) < len(text)]
