"""Teaches the text encoder to pronounce before it hears anything: CTC from letters to phonemes.

Text with phonemes costs nothing (espeak-ng reads any amount of it), text with speech is dear. An encoder that already
knows which sound a letter stands for leaves text-to-semantic only the alignment and the voice to learn. The CTC head
is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.loop.settings import AtLeastOne, Strings
from spear_accel.training.text_to_semantic.ctc import CtcOptions, CtcTask, Pair

__all__ = ["PhonemeCtc", "PhonemeCtcTask", "PhonemeCtcTraining"]

BLANK = "<blank>"


@dataclass(frozen=True)
class PhonemeCtcTraining:
    """The `data` section: texts and their phonemes."""

    manifests: Strings
    """Files with `text_ids` (without EOS) and `phonemes` a line."""
    validation: str
    """The same, never trained on."""
    phase: Literal["pronounce"] = "pronounce"
    init_from: str | None = None
    """Output folder of an earlier run whose weights this one starts from."""
    batch_text: AtLeastOne = 6000
    """Padded text ids in a batch."""
    symbols: tuple[str, ...] = ()
    """The phonemes; if empty, all that the manifests hold."""

    def __post_init__(self) -> None:
        if not self.manifests:
            raise UserError("manifests is empty; name at least one file of texts and phonemes")


class PhonemeCtc(nn.Module):
    """The text side of a `TextToSemantic` with a CTC head; the decoder rests."""

    def __init__(self, model: TextToSemantic, symbols: int) -> None:
        """`symbols`: how many phonemes there are, with the blank."""
        super().__init__()
        self.model = model
        self.head = nn.Linear(model.config.dim, symbols)
        model.decoder.requires_grad_(False)

    def forward(self, text: Tensor) -> Tensor:
        """Text ids [B, X] padded with `text_pad_id` -> logits [B, X, symbols]."""
        logits: Tensor = self.head(self.model.encode(text).hidden)
        return logits


class PhonemeCtcTask(CtcTask):
    """Letters to phonemes; a `Task` of `spear_accel.training.loop.trainer`."""

    def __init__(self, config: PhonemeCtcTraining, model: TextToSemantic) -> None:
        """Reads the manifests.

        Raises:
            UserError: A manifest is missing or damaged.
        """
        records = [record for path in config.manifests for record in read_manifest(path, ("text_ids", "phonemes"))]
        found = config.symbols or sorted({symbol for record in records for symbol in record["phonemes"]})
        self.symbols = (BLANK, *found)
        super().__init__(
            PhonemeCtc(model, len(self.symbols)),
            CtcOptions("phoneme_ctc", model.config.text_pad_id, config.batch_text, "phoneme_error_rate"),
            self._pairs(records, model.config),
            self._pairs(read_manifest(config.validation, ("text_ids", "phonemes")), model.config),
        )

    def _pairs(self, records: Sequence[dict[str, Any]], shape: TextToSemanticConfig) -> list[Pair]:
        index = {symbol: number for number, symbol in enumerate(self.symbols)}
        end = [] if shape.text_eos_id is None else [shape.text_eos_id]
        return [
            (torch.tensor([*r["text_ids"], *end]), torch.tensor([index[s] for s in r["phonemes"] if s in index]))
            for r in records
        ]
