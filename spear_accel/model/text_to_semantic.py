"""The Spear-TTS "reading" model: text ids -> semantic tokens (Kharitonov et al. 2023).

Joins encoder and decoder. Knows nothing about tokenizers, sampling or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.model.cache import DecoderState
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.decoder import Decoder
from spear_accel.model.encoder import Encoder
from spear_accel.model.layers import EMBEDDING_STD


@dataclass(frozen=True)
class Memory:
    """Encoded input. hidden: [B, X, D]; visible: bool [B, X], false at padding."""

    hidden: Tensor
    visible: Tensor


class TextToSemantic(nn.Module):
    """Encoder-decoder over text ids and semantic tokens."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.text_embedding = nn.Embedding(config.text_vocab_size, config.dim)
        nn.init.normal_(self.text_embedding.weight, std=EMBEDDING_STD)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, text: Tensor) -> Memory:
        """Text ids [B, X], EOS included where the model uses one, padded with `text_pad_id`."""
        visible = text != self.config.text_pad_id
        embedded = self.text_embedding(text.masked_fill(~visible, 0)) * self.config.embedding_scale
        return Memory(self.encoder(embedded, visible), visible)

    def encode_semantic(self, tokens: Tensor) -> Memory:
        """Semantic tokens [B, X] as encoder input (denoising pretraining), padded with `semantic_pad_id`."""
        visible = tokens != self.config.semantic_pad_id
        return Memory(self.encoder(self.decoder.embed(tokens.masked_fill(~visible, 0)), visible), visible)

    def forward(self, text: Tensor, semantic: Tensor, cond_drop: Tensor | None = None) -> Tensor:
        """Teacher-forced logits [B, T + 1, V]; position t is predicted from the text and tokens before t.

        text: ids [B, X] padded with `text_pad_id`; semantic: units [B, T] padded with `semantic_pad_id`.
        cond_drop: bool [B], rows whose whole text is hidden so that only the null key and value remain.
        """
        return self.reconstruct(self.encode(text), semantic, cond_drop)

    def reconstruct(self, memory: Memory, semantic: Tensor, cond_drop: Tensor | None = None) -> Tensor:
        """The decoder half of `forward`, from any encoded input. Returns logits [B, T + 1, V]."""
        visible = memory.visible
        if cond_drop is not None:
            if not self.config.null_kv:
                raise UserError("cond_drop needs a model with null_kv: nothing else stays visible")
            visible = visible & ~cond_drop[:, None]
        tokens = semantic.masked_fill(semantic == self.config.semantic_pad_id, 0)
        tokens = F.pad(tokens, (1, 0), value=self.config.start_id)
        return self.decoder.logits(self.decoder.teach(tokens, memory.hidden, visible))

    def new_state(self, rows: int, capacity: int, text_capacity: int) -> DecoderState:
        """An empty decoder state for up to `rows` rows of `capacity` semantic and `text_capacity` text ids."""
        for name, size in (("semantic", capacity), ("text", text_capacity)):
            if size > self.config.max_positions:
                raise UserError(f"{size} {name} tokens exceed the model's {self.config.max_positions} positions")
        return DecoderState(self.config, rows, capacity, text_capacity, self.decoder.embedding.weight)

    def admit(self, state: DecoderState, text: Tensor) -> None:
        """Encode text ids [n, X], project cross-attention once, and add n rows at position 0 to `state`."""
        memory = self.encode(text)
        keys, values = self.decoder.project(memory.hidden)
        lengths = (memory.visible.sum(dim=1) + int(self.config.null_kv)).tolist()
        state.admit(keys, values, lengths)

    def start(self, text: Tensor, capacity: int) -> DecoderState:
        """A fresh state whose rows are `text` [B, X], with room for `capacity` semantic tokens each."""
        state = self.new_state(text.shape[0], capacity, text.shape[1])
        self.admit(state, text)
        return state

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.decoder.embedding.weight.device
