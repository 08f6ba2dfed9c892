"""Records of a manifest as checked tensors: text ids, semantic tokens, and how often an epoch takes each.

Knows records and ids. Does not know what is learned from them, nor files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from spear_accel.data.batching import batches_by_length
from spear_accel.errors import UserError
from spear_accel.model import TextToSemanticConfig
from spear_accel.training.text_to_semantic.attention_guide import diagonal

__all__ = ["DenoisingExamples", "PairExamples", "WeightedExamples", "corrupt", "text_ids", "token_ids"]

Item = TypeVar("Item")
Record = dict[str, Any]


class WeightedExamples(Sequence[Item], Generic[Item]):
    """Examples that differ in length and in how often an epoch takes them; a subclass says what an item holds."""

    def __init__(self, records: Sequence[Record], config: TextToSemanticConfig) -> None:
        """Checks the tokens of all records; a record's `weight` is 1 if it has none.

        Raises:
            UserError: A record holds ids that the model does not know.
        """
        self.tokens = [token_ids(record, config) for record in records]
        self.lengths = np.array([len(tokens) + 1 for tokens in self.tokens])
        self._weights = np.array([float(record.get("weight", 1.0)) for record in records])

    def __len__(self) -> int:
        return len(self.tokens)

    def epoch(self, batch_tokens: int, number: int, seed: int) -> list[list[int]]:
        """Batches of indices; an example comes as often as its weight says, on average over epochs."""
        generator = np.random.default_rng((seed, number, 1))
        counts = np.floor(self._weights + generator.random(len(self._weights))).astype(np.int64)
        order = np.repeat(np.arange(len(self._weights)), counts)
        return batches_by_length(self.lengths, batch_tokens, number=number, seed=seed, order=order)


class PairExamples(WeightedExamples[dict[str, Tensor]]):
    """Text and speech.

    Item: source [X], the text ids with EOS, and tokens [T], both int64; centres [T + 1] and width [] of the attention
    guide, float32.
    """

    def __init__(self, records: Sequence[Record], config: TextToSemanticConfig, width: float) -> None:
        """Checks all records.

        Args:
            records: Each with `text_ids` (without EOS), `tokens` and, optionally, `weight` and `alignment`.
            config: The model's.
            width: Standard deviation, in text ids, of the guide's band around the alignment of a record.

        Raises:
            UserError: A record holds ids that the model does not know, or an alignment of another length.
        """
        super().__init__(records, config)
        self._text = [text_ids(record, config) for record in records]
        self._alignments = [_alignment(record) for record in records]
        self._width = width

    def __getitem__(self, index: int) -> dict[str, Tensor]:  # type: ignore[override]
        tokens, text, alignment = self.tokens[index], self._text[index], self._alignments[index]
        guide = diagonal(len(tokens) + 1, len(text)) if alignment is None else (alignment, self._width)
        return {"source": text, "tokens": tokens, "centres": guide[0], "width": torch.tensor(guide[1])}


class DenoisingExamples(WeightedExamples[dict[str, Tensor]]):
    """Speech alone.

    Item: source [X], the tokens that are left, and tokens [T], both int64; centres [T + 1] and width [] of a diagonal
    attention guide, float32.
    """

    def __init__(self, records: Sequence[Record], config: TextToSemanticConfig, delete: float) -> None:
        """`delete`: share of the tokens that is missing from the source; the rest as `WeightedExamples`."""
        super().__init__(records, config)
        self._delete = delete

    def __getitem__(self, index: int) -> dict[str, Tensor]:  # type: ignore[override]
        tokens = self.tokens[index]
        source = corrupt(tokens, self._delete)
        centres, width = diagonal(len(tokens) + 1, len(source))
        return {"source": source, "tokens": tokens, "centres": centres, "width": torch.tensor(width)}


def corrupt(tokens: Tensor, delete: float) -> Tensor:
    """Deletes each token with probability `delete`; at least one stays. [T] -> [at most T]."""
    kept = torch.rand(len(tokens)) >= delete
    if not kept.any():
        kept[int(torch.randint(len(tokens), ()))] = True
    return tokens[kept]


def token_ids(record: Record, config: TextToSemanticConfig) -> Tensor:
    """The semantic tokens of a record, int64 [T]: every id that can be predicted but EOS.

    Raises:
        UserError: Ids are outside the vocabulary, or one is EOS, which in imported models may be any id.
    """
    tokens = _ids(record, "tokens", record["tokens"], config.vocab)
    if bool((tokens == config.eos_id).any()):
        raise UserError(f"utterance {record['id']}: tokens hold {config.eos_id}, which ends an utterance; leave it out")
    return tokens


def text_ids(record: Record, config: TextToSemanticConfig) -> Tensor:
    """The text ids of a record with EOS if the model has one, int64 [X].

    Raises:
        UserError: Ids are outside the vocabulary.
    """
    end = [] if config.text_eos_id is None else [config.text_eos_id]
    return _ids(record, "text_ids", [*record["text_ids"], *end], config.text_vocab_size)


def _ids(record: Record, key: str, values: Sequence[int], size: int) -> Tensor:
    ids = torch.tensor(values, dtype=torch.int64)
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        raise UserError(f"utterance {record['id']}: {key} hold ids outside 0 to {size - 1}; see the model section")
    return ids


def _alignment(record: Record) -> Tensor | None:
    if "alignment" not in record:
        return None
    if len(record["alignment"]) != len(record["tokens"]) + 1:
        raise UserError(f"utterance {record['id']}: alignment must be one longer than tokens; align its letters again")
    return torch.tensor(record["alignment"], dtype=torch.float32)
