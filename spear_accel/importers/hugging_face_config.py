"""What `config.json` of a T5 or BART says, as a `TextToSemanticConfig`. Knows shapes; weights are elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spear_accel.errors import UserError
from spear_accel.model import TextToSemanticConfig
from spear_accel.model.config import LONGEST_BLOCK, FeedForwardKind
from spear_accel.model.rules import TokenRules

__all__ = ["Family", "family_of", "model_config"]

_UNBOUNDED = 4096
"""Positions of a model that knows distances only."""
_CODEBOOKS = ("num_codebooks", "n_codebooks", "num_quantizers", "n_codes_total", "codebook_size", "audio_encoder")
_KINDS: dict[tuple[str, bool], FeedForwardKind] = {
    ("gelu", True): "geglu", ("gelu", False): "gelu", ("gelu_new", True): "geglu-tanh",
    ("gelu_new", False): "gelu-tanh", ("relu", True): "reglu", ("relu", False): "relu", ("silu", True): "swiglu",
    ("silu", False): "silu", ("swish", True): "swiglu", ("swish", False): "silu",
}  # fmt: skip
"""By activation and whether it is gated."""


@dataclass(frozen=True)
class Family:
    """In what the models of one `model_type` differ from others of their kind."""

    kind: str
    """"t5" or "bart": which names its tensors have."""
    post_norm: bool = False
    embedding_norm: bool = False
    sinusoids: str | None = None
    """Order of a table of sines that is computed, not learned: "halves" or "fairseq"."""
    offset: int = 0
    """Rows of the table of positions that stand before that of position 0."""


_FAMILIES = {
    "t5": Family("t5"),
    "mt5": Family("t5"),
    "bart": Family("bart", post_norm=True, embedding_norm=True, offset=2),
    "mbart": Family("bart", embedding_norm=True, offset=2),
    "marian": Family("bart", post_norm=True, sinusoids="halves"),
    "pegasus": Family("bart", sinusoids="halves"),
    "m2m_100": Family("bart", sinusoids="fairseq"),
}


def family_of(config: Mapping[str, Any], source: str) -> Family:
    """The family of a config.

    Raises:
        UserError: The model has several codebooks, is no encoder-decoder, or is of a family that is not known.
    """
    name = config.get("model_type")
    books = [field for field in _CODEBOOKS if _several(config.get(field))]
    if books and name not in _FAMILIES:
        raise UserError(
            f"{source}: a model of several codebooks ({name}; it has {books[0]}); this package decodes one token a step"
        )
    if name not in _FAMILIES:
        what = "" if config.get("is_encoder_decoder", True) else ", which is no encoder-decoder"
        raise UserError(f"{source}: model_type is {name!r}{what}; this release imports {', '.join(_FAMILIES)}")
    family = _FAMILIES[name]
    if family.sinusoids == "fairseq":
        # Its positions are counted from the one behind the pad's.
        return replace(family, offset=_Fields(config, source).whole("pad_token_id", 1, least=0) + 1)
    return family


def _several(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, int) and value > 1)


def model_config(
    config: Mapping[str, Any], family: Family, rules: TokenRules | None, eos: int, output_bias: bool, source: str
) -> TextToSemanticConfig:
    """The shape of a model.

    Args:
        config: `config.json`.
        family: Of the model.
        rules: Of its tokens.
        eos: Token that ends an utterance.
        output_bias: Whether its tied output has a bias that is not zero.
        source: The file, for errors.

    Raises:
        UserError: A field is missing, of the wrong kind, or has a value that this package has nothing for.
    """
    read = _Fields(config, source)
    tied = config.get("tie_word_embeddings", True) is not False
    vocab = read.whole("decoder_vocab_size", config.get("vocab_size"))
    shared = config.get("share_encoder_decoder_embeddings", True) is not False
    common: dict[str, Any] = {
        "text_vocab_size": vocab + 1 if shared else read.whole("vocab_size"),
        "semantic_units": vocab - 1, "dim": read.whole("d_model"), "dropout": 0.0, "null_kv": False,
        "semantic_eos_id": eos, "tied_output": tied, "output_bias": tied and output_bias, "shared_embedding": shared,
        "rules": rules,
    }  # fmt: skip
    shape = _t5(read) if family.kind == "t5" else _bart(read, family)
    return TextToSemanticConfig(**common, **shape)


def _t5(read: _Fields) -> dict[str, Any]:
    heads, layers = read.whole("num_heads"), read.whole("num_layers")
    activation = read.text("feed_forward_proj", "relu")
    gated = activation.startswith("gated-")
    name = activation.removeprefix("gated-")
    # T5 calls its gated kind so, and computes GELU by tanh.
    name = "gelu_new" if activation == "gated-gelu" else name
    return {
        "heads": heads, "kv_heads": heads, "head_dim": read.whole("d_kv"), "encoder_layers": layers,
        "decoder_layers": read.whole("num_decoder_layers", layers), "ff_inner": read.whole("d_ff"),
        "feed_forward": read.kind(name, gated), "embedding_scale": 1.0, "norm": "rms-eps",
        "norm_eps": read.number("layer_norm_epsilon", 1e-6), "positions": "relative",
        "relative_buckets": read.whole("relative_attention_num_buckets", 32),
        "relative_distance": read.whole("relative_attention_max_distance", 128), "max_positions": _UNBOUNDED,
    }  # fmt: skip


def _bart(read: _Fields, family: Family) -> dict[str, Any]:
    dim, heads = read.whole("d_model"), read.same("encoder_attention_heads", "decoder_attention_heads")
    if dim % heads:
        raise UserError(f"{read.source}: d_model {dim} is no multiple of {heads} attention heads")
    positions = read.whole("max_position_embeddings")
    return {
        "heads": heads, "kv_heads": heads, "head_dim": dim // heads, "encoder_layers": read.whole("encoder_layers"),
        "decoder_layers": read.whole("decoder_layers"), "ff_inner": read.same("encoder_ffn_dim", "decoder_ffn_dim"),
        "feed_forward": read.kind(read.text("activation_function", "gelu"), False), "norm": "layer", "norm_eps": 1e-5,
        "norm_order": "post" if family.post_norm else "pre", "embedding_norm": family.embedding_norm,
        "embedding_scale": math.sqrt(dim) if read.config.get("scale_embedding") else 1.0, "attention_bias": True,
        "feed_forward_bias": True, "positions": "table", "text_positions": positions,
        "max_positions": positions + LONGEST_BLOCK,
    }  # fmt: skip


class _Fields:
    """Fields of `config.json`, each checked as it is read."""

    def __init__(self, config: Mapping[str, Any], source: str) -> None:
        self.config, self.source = config, source

    def whole(self, name: str, default: Any = None, least: int = 1) -> int:
        value = self.config.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UserError(f"{self.source}: {name} is {value!r}, no whole number from {least} on; restore the file")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.config.get(name, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1:
            raise UserError(f"{self.source}: {name} is {value!r}, no number between 0 and 1; restore the file")
        return float(value)

    def text(self, name: str, default: str) -> str:
        value = self.config.get(name, default)
        if not isinstance(value, str):
            raise UserError(f"{self.source}: {name} is {value!r}, no name; restore the file")
        return value

    def same(self, one: str, other: str) -> int:
        """The value of two fields that this package has one of."""
        first, second = self.whole(one), self.whole(other)
        if first != second:
            raise UserError(
                f"{self.source}: {one} {first} and {other} {second} differ, for which this release has no place"
            )
        return first

    def kind(self, activation: str, gated: bool) -> FeedForwardKind:
        if (activation, gated) not in _KINDS:
            known = ", ".join(sorted({name for name, _ in _KINDS}))
            raise UserError(f"{self.source}: activation {activation!r} is none that this release computes ({known})")
        return _KINDS[activation, gated]
