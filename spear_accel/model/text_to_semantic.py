"""The Spear-TTS "reading" model: text ids -> semantic tokens (Kharitonov et al. 2023).

Joins encoder and decoder. Knows nothing about tokenizers, sampling or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.model.cache import DecoderState
from spear_accel.model.conditions import Conditions, chosen_in_front
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.decoder import Decoder, Memory
from spear_accel.model.encoder import Encoder
from spear_accel.model.layers import EMBEDDING_STD
from spear_accel.model.native_backend import make_backend

_TEXT_STEP = 16


class TextToSemantic(nn.Module):
    """Encoder-decoder over text ids and semantic tokens."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.text_embedding = nn.Embedding(config.letters, config.dim)
        nn.init.normal_(self.text_embedding.weight, std=EMBEDDING_STD)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        if config.shared_embedding:
            self.text_embedding.weight = self.decoder.embedding.weight
        self.decoder.backend = make_backend(self.decoder)
        self.conditions = Conditions(config) if config.languages or config.speaking_rates else None
        self.text_start = nn.Parameter(torch.randn(config.dim)) if config.text_target else None

    def pad_text(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Text ids of n rows -> [n, X] as `encode` takes them, X a multiple of 16 where there is room.

        Nobody sees what stands behind a row's end; few lengths make few shapes, for each of which kernels are kept.
        """
        width = max(map(len, rows))
        width = max(width, min(width + -width % _TEXT_STEP, self.config.max_positions))
        padded = [[*row, *[self.config.text_pad_id] * (width - len(row))] for row in rows]
        return torch.tensor(padded, device=self.device)

    def encode(self, text: Tensor) -> Memory:
        """Text ids [B, X] as `forward` takes them."""
        embedded, visible, added = self._embed(text)
        return Memory(self.encoder(embedded, visible), visible, added)

    def _embed(self, text: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Text ids [B, X] -> what the encoder reads [B, X', D], which of it is text: bool [B, X'], and what each row
        adds to every input of the decoder [B, 1, D]."""
        spoken = added = None
        if self.conditions is not None:
            text, spoken, added = self.conditions(text)
        if self.config.text_length is not None:
            text = F.pad(text, (0, self.config.text_length - text.shape[1]), value=self.config.text_pad_id)
        visible = text != self.config.text_pad_id
        embedded = self.text_embedding(text.masked_fill(~visible, max(0, self.config.text_pad_id)))
        embedded = embedded * self.config.embedding_scale
        if spoken is not None:
            embedded = embedded + spoken
        if self.config.text_length is not None:
            visible = torch.ones_like(visible)
        return embedded, visible, added

    def encode_semantic(self, tokens: Tensor) -> Memory:
        """Semantic tokens [B, X] as encoder input (denoising pretraining), padded with `semantic_pad_id`."""
        visible = tokens != self.config.semantic_pad_id
        return Memory(self.encoder(self.decoder.embed(tokens.masked_fill(~visible, 0)), visible), visible)

    def forward(
        self,
        text: Tensor,
        semantic: Tensor,
        cond_drop: Tensor | None = None,
        *,
        language: Tensor | int | None = None,
        cps: Tensor | float | None = None,
    ) -> Tensor:
        """Teacher-forced logits [B, T + 1, V]; position t is predicted from the text and tokens before t.

        text: ids [B, X] padded with `text_pad_id`, with the start and the end that the model uses and, in front, the
        ids that choose language and rate where not the default is wanted; semantic: units [B, T] padded with
        `semantic_pad_id`.
        cond_drop: bool [B], rows whose whole text is hidden so that only the null key and value remain.
        language, cps: of all rows or [B], the number of a language and characters a second; put in front of the text.
        Raises UserError where the model does not tell languages or rates apart.
        """
        text = chosen_in_front(self.config, text, language, cps)
        return self.reconstruct(self.encode(text), semantic, cond_drop)

    def reconstruct(self, memory: Memory, semantic: Tensor, cond_drop: Tensor | None = None) -> Tensor:
        """The decoder half of `forward`, from any encoded input. Returns logits [B, T + 1, V]."""
        if cond_drop is not None:
            if not self.config.null_kv:
                raise UserError("cond_drop needs a model with null_kv: nothing else stays visible")
            memory = replace(memory, visible=memory.visible & ~cond_drop[:, None])
        tokens = semantic.masked_fill(semantic == self.config.semantic_pad_id, 0)
        tokens = F.pad(tokens, (1, 0), value=self.config.start_id)
        return self.decoder.logits(self.decoder.teach(tokens, memory))

    def transcribe(self, memory: Memory, text: Tensor) -> Tensor:
        """The opposite direction: teacher-forced logits [B, X + 1, text ids] of text ids [B, X], padded with
        `text_pad_id`, from encoded speech (`encode_semantic`, EOS included).

        Raises UserError where the model was not made to write text.
        """
        if self.text_start is None:
            raise UserError("this model writes semantic tokens only; it has no start vector for text")
        embedded = self.text_embedding(text.masked_fill(text == self.config.text_pad_id, 0))
        start = self.text_start.expand(len(text), 1, -1)
        hidden = self.decoder.trace(torch.cat((start, embedded), dim=1) * self.config.embedding_scale, memory)[-1]
        return F.linear(self.decoder.final_norm(hidden), self.text_embedding.weight)

    def new_state(self, rows: int, capacity: int, text_capacity: int) -> DecoderState:
        """An empty decoder state for up to `rows` rows of `capacity` semantic and `text_capacity` text ids."""
        for name, size in (("semantic", capacity), ("text", text_capacity)):
            if size > self.config.max_positions:
                raise UserError(f"{size} {name} tokens exceed the model's {self.config.max_positions} positions")
        text_capacity = max(text_capacity, self.config.text_length or 0)
        weight, backend = self.decoder.embedding.weight, self.decoder.backend
        like, own_like = (weight.new_empty(0, dtype=one) for one in (backend.text_cache_dtype, backend.cache_dtype))
        return DecoderState(self.config, rows, capacity, text_capacity, like, own_like)

    def admit(self, state: DecoderState, text: Tensor) -> None:
        """Encode text ids [n, X], project cross-attention once, and add n rows at position 0 to `state`."""
        embedded, visible, added = self._embed(text)
        keys, values = self.decoder.backend.read_text(self.encoder, embedded, visible)
        lengths = (visible.sum(dim=1) + int(self.config.null_kv)).tolist()
        widest = max(lengths)
        state.admit(keys[..., :widest, :], values[..., :widest, :], lengths, added)

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
