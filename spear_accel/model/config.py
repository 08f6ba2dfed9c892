"""Shape of a text-to-semantic model, as a frozen dataclass stored as JSON.

Knows nothing about weights, tokenizers or how the model is trained.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TextToSemanticConfig:
    """Every choice that decides the shape of a `TextToSemantic`.

    Semantic ids: 0 .. semantic_units - 1 are units, `eos_id` = semantic_units ends an utterance, and
    `start_id` = semantic_units + 1 is the learned start vector, which can be read but never predicted.
    """

    text_vocab_size: int
    """Number of text ids, special ids included."""
    semantic_units: int
    """Number of semantic units, without EOS."""
    dim: int = 256
    """Width D of the hidden states."""
    heads: int = 4
    """Query heads H."""
    kv_heads: int = 4
    """Key/value heads G; divides `heads`."""
    head_dim: int = 64
    """Width C of one head; even, because rotary positions turn pairs."""
    encoder_layers: int = 4
    decoder_layers: int = 10
    ff_inner: int = 512
    """Inner width of the GEGLU feed-forward, after gating."""
    dropout: float = 0.1
    """Dropout on embeddings, feed-forward activations and residual branches while training."""
    null_kv: bool = True
    """Whether cross-attention always sees one learned null key and value before the text."""
    rotary_theta: float = 10_000.0
    pace: float | None = None
    """Semantic tokens a text id, on average. Given, encoded text and decoder inputs also carry sinusoidal positions on
    one scale, so that a token finds the text of its time; None: rotary positions within each side, nothing across."""
    embedding_scale: float = 16.0
    """Factor on every input embedding; sqrt(dim) keeps them level with the residual branches."""
    norm_eps: float = 1e-6
    text_pad_id: int = -1
    text_eos_id: int | None = None
    """Text id that ends every encoder input; None where the model uses none."""
    semantic_pad_id: int = -1
    max_positions: int = 4096
    """Longest text or semantic sequence, in tokens."""

    def __post_init__(self) -> None:
        for name in (
            "text_vocab_size",
            "semantic_units",
            "dim",
            "heads",
            "kv_heads",
            "head_dim",
            "encoder_layers",
            "decoder_layers",
            "ff_inner",
            "max_positions",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"model config: {name} must be at least 1, got {getattr(self, name)}")
        if self.max_positions < 128:
            raise UserError(f"model config: max_positions must be at least 128, got {self.max_positions}")
        if self.heads % self.kv_heads:
            raise UserError(f"model config: kv_heads {self.kv_heads} must divide heads {self.heads}")
        if self.pace is not None and not self.pace > 0.0:
            raise UserError(f"model config: pace must be above 0, got {self.pace}")
        if self.head_dim % 2:
            raise UserError(f"model config: head_dim must be even, got {self.head_dim}")
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model config: dropout must lie in [0, 1), got {self.dropout}")
        if 0 <= self.semantic_pad_id < self.semantic_units + 2:
            raise UserError(f"model config: semantic_pad_id {self.semantic_pad_id} is the id of a unit")
        if self.text_eos_id is not None and not 0 <= self.text_eos_id < self.text_vocab_size:
            raise UserError(f"model config: text_eos_id {self.text_eos_id} lies outside the text vocabulary")

    @property
    def vocab(self) -> int:
        """V: semantic units and EOS, the width of the logits."""
        return self.semantic_units + 1

    @property
    def eos_id(self) -> int:
        return self.semantic_units

    @property
    def start_id(self) -> int:
        """Input-only id of the learned start vector."""
        return self.semantic_units + 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "model config") -> TextToSemanticConfig:
        """Build from a complete dict. Raises `UserError` naming every unknown or missing field."""
        known = {field.name for field in fields(cls)}
        unknown, missing = sorted(set(values) - known), sorted(known - set(values))
        if unknown:
            raise UserError(f"{source}: unknown field(s) {', '.join(unknown)}; remove or correct them")
        if missing:
            raise UserError(f"{source}: missing field(s) {', '.join(missing)}; add them")
        return cls(**values)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> TextToSemanticConfig:
        """Read a JSON file. Raises `UserError` naming the file and what is wrong with it."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}: cannot read the model config ({error.strerror})") from error
        except ValueError as error:
            raise UserError(f"{path}: not valid JSON ({error})") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}: the model config must be a JSON object")
        return cls.from_dict(values, str(path))
