"""Shape of a text-to-semantic model, as a frozen dataclass stored as JSON.

Knows nothing about weights, tokenizers or how the model is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from spear_accel.checks import check_fields
from spear_accel.errors import UserError
from spear_accel.model.rules import TokenRules

LONGEST_BLOCK = 64
"""Positions left free behind the longest utterance for the drafts of one round."""


MOST_POSITIONS = 1 << 17
"""Tables of positions have that many rows, and no weights to hold them against."""


def _added(default: Any) -> Any:
    """A field that configs of earlier releases lack; they mean its default."""
    return field(default=default, metadata={"added": True})


FeedForwardKind = Literal["geglu", "gelu", "geglu-tanh", "gelu-tanh", "reglu", "relu", "swiglu", "silu"]
_CHOICES: dict[str, tuple[str, ...]] = {
    "norm": ("rms", "layer", "rms-eps"),
    "norm_order": ("pre", "post"),
    "feed_forward": get_args(FeedForwardKind),
    "positions": ("rotary", "table", "relative"),
}


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
    """Longest text or semantic sequence, in tokens, the drafts behind it included."""

    # What only models of other makers need.
    encoder_kv_heads: int | None = _added(None)
    """Key/value heads of the encoder; those of the decoder's self-attention where None."""
    cross_kv_heads: int | None = _added(None)
    """Key/value heads of cross-attention; those of the decoder's self-attention where None."""
    norm: Literal["rms", "layer", "rms-eps"] = _added("rms")
    """"rms" divides by the root mean square or `norm_eps`, whichever is more; "rms-eps" adds it to the square."""
    norm_order: Literal["pre", "post"] = _added("pre")
    """"pre" norms what enters a block, and what leaves a stack; "post" norms what leaves a block, its input added."""
    embedding_norm: bool = _added(False)
    """Whether what enters the encoder and the decoder is normed, positions included."""
    feed_forward: FeedForwardKind = field(default="geglu", metadata={"added": True})
    """Activation, and whether a second half of the inner width is multiplied by it: those in "glu" (Shazeer 2020)."""
    attention_bias: bool = _added(False)
    feed_forward_bias: bool = _added(False)
    positions: Literal["rotary", "table", "relative"] = _added("rotary")
    """"table" adds a vector to the input of every position of the encoder and of the decoder; "relative" adds a learned
    number to every score of self-attention, by how far apart the two positions are (Raffel et al. 2020)."""
    relative_buckets: int = _added(32)
    """Of relative positions: numbers that each head learns; half of them for either direction in the encoder."""
    relative_distance: int = _added(128)
    """Of relative positions: distance from which on all are one bucket."""
    text_positions: int | None = _added(None)
    """Longest text, in ids, where it is less than `max_positions`."""
    causal_encoder: bool = _added(False)
    tied_output: bool = _added(True)
    """Whether the input embedding is the output projection too; else that has weights and a bias of its own."""
    output_bias: bool = _added(False)
    """Whether a tied output projection has a bias."""
    shared_embedding: bool = _added(False)
    """Whether text and semantic tokens are of one vocabulary and have one embedding."""
    semantic_eos_id: int | None = _added(None)
    """Semantic id that ends an utterance; the one behind the units where None."""
    text_start_id: int | None = _added(None)
    """Text id that begins every encoder input; None where the model uses none."""
    text_length: int | None = _added(None)
    """Length to which every text is padded, its pads being read like letters; None masks pads."""
    languages: int = _added(0)
    """Languages that the model tells apart; the last text ids choose one, or a rate: see `language_id`."""
    speaking_rates: int = _added(0)
    """Steps of the speaking rate, the slowest first."""
    rate_step: float = _added(0.625)
    """Characters a second from one step to the next."""
    default_language: int = _added(0)
    default_rate: int = _added(0)
    text_target: bool = _added(False)
    """Whether the decoder can also write text, from a start vector of its own (`TextToSemantic.transcribe`)."""
    rules: TokenRules | None = field(default=None, metadata={"added": True})
    """Which tokens may follow which; None forbids none. A dict of its fields will do."""

    def __post_init__(self) -> None:
        if isinstance(self.rules, Mapping):
            object.__setattr__(self, "rules", TokenRules.from_dict(self.rules, "model config: rules"))
        if not isinstance(self.rules, TokenRules | None):
            raise UserError(f"model config: rules is {str(self.rules)[:60]!r}, no table of rules; correct it")
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
            "relative_buckets",
            "relative_distance",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"model config: {name} must be at least 1, got {getattr(self, name)}")
        if self.max_positions <= LONGEST_BLOCK:
            raise UserError(f"model config: max_positions must be above {LONGEST_BLOCK}, got {self.max_positions}")
        if self.max_positions > MOST_POSITIONS:
            raise UserError(f"model config: max_positions must be at most {MOST_POSITIONS}, got {self.max_positions}")
        for name in ("kv_heads", "encoder_kv_heads", "cross_kv_heads"):
            groups = getattr(self, name)
            if groups is not None and (groups < 1 or self.heads % groups):
                raise UserError(f"model config: {name} {groups} must divide heads {self.heads}")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise UserError(f"model config: {name} must be {' or '.join(known)}, got {getattr(self, name)!r}")
        if self.pace is not None and not self.pace > 0.0:
            raise UserError(f"model config: pace must be above 0, got {self.pace}")
        if self.head_dim % 2:
            raise UserError(f"model config: head_dim must be even, got {self.head_dim}")
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model config: dropout must lie in [0, 1), got {self.dropout}")
        if 0 <= self.semantic_pad_id < self.semantic_units + 2:
            raise UserError(f"model config: semantic_pad_id {self.semantic_pad_id} is the id of a unit")
        if self.semantic_eos_id is not None and not 0 <= self.semantic_eos_id <= self.semantic_units:
            raise UserError(f"model config: semantic_eos_id {self.semantic_eos_id} lies outside the vocabulary")
        self._check_parts()
        for name in ("text_eos_id", "text_start_id"):
            special = getattr(self, name)
            if special is not None and not 0 <= special < self.letters:
                raise UserError(f"model config: {name} {special} lies outside the text vocabulary")

    def _check_parts(self) -> None:
        """What choices need of each other."""
        if self.positions == "relative":
            reach, most = self.relative_distance, self.relative_buckets
            if most % 4 or reach <= most // 2:
                raise UserError(
                    f"model config: relative_buckets {most} must be a multiple of 4, and relative_distance {reach} "
                    "above half of it"
                )
        if self.shared_embedding and self.letters != self.vocab + 1:
            raise UserError(f"model config: shared_embedding needs {self.vocab + 1} text ids, got {self.letters}")
        if self.text_positions is not None and not 1 <= self.text_positions <= self.max_positions:
            raise UserError(f"model config: text_positions must lie between 1 and {self.max_positions}")
        if self.rules is not None:
            self.rules.check(self.vocab)

    @property
    def vocab(self) -> int:
        """V: semantic units and EOS, the width of the logits."""
        return self.semantic_units + 1

    @property
    def eos_id(self) -> int:
        return self.semantic_units if self.semantic_eos_id is None else self.semantic_eos_id

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """All ids that end an utterance; `eos_id` is among them."""
        more = () if self.rules is None else self.rules.more_eos
        return (self.eos_id, *(token for token in more if token != self.eos_id))

    @property
    def start_id(self) -> int:
        """Input-only id of the learned start vector."""
        return self.semantic_units + 1

    @property
    def letters(self) -> int:
        """Number of text ids that stand for text; those behind them choose language and rate."""
        return self.text_vocab_size - self.languages - self.speaking_rates

    def language_id(self, language: int) -> int:
        """Text id that, in front of a text, chooses a language by its number."""
        if not 0 <= language < self.languages:
            raise UserError(f"language {language}: the model knows {self.languages} languages")
        return self.letters + language

    def rate_id(self, rate: float) -> int:
        """Text id that, in front of a text, chooses a speaking rate in characters a second."""
        if not self.speaking_rates or not rate >= 0.0:
            raise UserError(f"speaking rate {rate}: must be 0 or more, and the model knows {self.speaking_rates} steps")
        return self.letters + self.languages + min(int(rate / self.rate_step), self.speaking_rates - 1)

    @property
    def longest_text(self) -> int:
        """Most text ids of an utterance, without those that choose language and rate."""
        return self.text_length or self.text_positions or self.max_positions

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "model config") -> TextToSemanticConfig:
        """Build from a complete dict. Raises `UserError` naming every unknown or missing field."""
        known = {one.name for one in fields(cls)}
        needed = {one.name for one in fields(cls) if not one.metadata.get("added")}
        unknown, missing = sorted(set(values) - known), sorted(needed - set(values))
        if unknown:
            raise UserError(f"{source}: unknown field(s) {', '.join(unknown)}; remove or correct them")
        if missing:
            raise UserError(f"{source}: missing field(s) {', '.join(missing)}; add them")
        check_fields(cls, values, source)
        return cls(**values)

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
