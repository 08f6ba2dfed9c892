"""Teaches the text encoder to pronounce before it hears anything: CTC from letters to phonemes.

Text with phonemes costs nothing (espeak-ng reads any amount of it), text with speech is dear. An encoder that already
knows which sound a letter stands for leaves text-to-semantic only the alignment and the voice to learn. The CTC head
is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.text_to_semantic.ctc import Pair, TranscriptionTask

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


class PronunciationTask(TranscriptionTask):
    """Letters to phonemes; a `Task` of `spear_accel.training.loop`."""

    def __init__(self, config: PronunciationTraining, model: TextToSemantic) -> None:
        records = [record for path in config.manifests for record in read_manifest(path, ("text_ids", "phonemes"))]
        found = config.symbols or sorted({symbol for record in records for symbol in record["phonemes"]})
        self.symbols = (BLANK, *found)
        super().__init__(
            Pronouncer(model, len(self.symbols)),
            self._pairs(records, model.config),
            self._pairs(read_manifest(config.validation, ("text_ids", "phonemes")), model.config),
            name="pronouncer", pad=model.config.text_pad_id, batch_total=config.batch_text, errors="phoneme_error_rate",
        )  # fmt: skip

    def _pairs(self, records: Sequence[dict[str, Any]], shape: TextToSemanticConfig) -> list[Pair]:
        index = {symbol: number for number, symbol in enumerate(self.symbols)}
        end = [] if shape.text_eos_id is None else [shape.text_eos_id]
        return [
            (torch.tensor([*r["text_ids"], *end]), torch.tensor([index[s] for s in r["phonemes"] if s in index]))
            for r in records
        ]
