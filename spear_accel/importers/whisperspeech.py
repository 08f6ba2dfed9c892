"""Imports WhisperSpeech's text-to-semantic model (`{config, tunables, state_dict}`).

Factors on queries and logits are folded into weights; a factored embedding becomes an input and an output table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.importers.base import Imported, Importer, ImportOptions, card_of, make_tokenizer
from spear_accel.importers.torch_pickle import check_keys, read_pickle, tensors_of
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.model.config import LONGEST_BLOCK
from spear_accel.text.raw import ByteTokenizer

__all__ = ["IMPORTER", "LANGUAGES", "config_of", "expected_keys", "load", "read_package"]

LAYOUT = "WhisperSpeech text-to-semantic"
FASTEST = 20.0
"""Characters a second, of the highest step of the speaking rate."""
DEFAULT_RATE = 15.0
FRAME_RATE = 25.0
"""Semantic tokens a second."""
_LONGEST_UTTERANCE = 180
"""Characters: three bytes each still fit the model's text."""
LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
).split()
"""Codes in the order of the language table, which is Whisper's."""
_SIZES = ("depth", "n_head", "head_width", "ffn_mult", "ttoks_len", "stoks_len", "ttoks_codes", "stoks_codes")

Table = Mapping[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


def load(path: str | Path, heads: int | None = None, head_dim: int | None = None) -> TextToSemantic:
    """The model of a checkpoint.

    Args:
        path: The checkpoint.
        heads: Attention heads; the file says them, and a value is checked against it.
        head_dim: Channels of a head, likewise.

    Raises:
        UserError: The file cannot be read safely or is of another model; every differing key is named.
    """
    sizes, tunables, table = read_package(path)
    for name, given, held in (("--heads", heads, sizes["n_head"]), ("--head-dim", head_dim, sizes["head_width"])):
        if given is not None and given != held:
            raise UserError(f"{path}: {name} {given} contradicts the file, whose config says {held}; leave it out")
    config = config_of(sizes, tunables)
    check_keys(table, expected_keys(sizes, tunables, config), path, LAYOUT)
    model = TextToSemantic(config).eval()
    model.load_state_dict(_state(table, sizes, tunables, config))
    return model


def read_package(path: str | Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """Config, tunables and tensors, in float32, of a checkpoint. Raises UserError as `load`."""
    found = read_pickle(path)
    absent = [name for name in ("config", "state_dict") if not isinstance(found, dict) or name not in found]
    if absent:
        raise UserError(
            f"{path}: lacks {' and '.join(absent)}, which a {LAYOUT} checkpoint holds; is it another model?"
        )
    sizes, tunables = dict(found["config"]), dict(found.get("tunables") or {})
    wrong = [name for name in _SIZES if not isinstance(sizes.get(name), int) or sizes[name] < 1]
    if wrong:
        raise UserError(f"{path}: its config lacks {', '.join(wrong)} or holds no whole number there")
    table = tensors_of(found["state_dict"], path)
    return sizes, tunables, {name: value.float() for name, value in table.items()}


def _recognises(path: Path) -> bool:
    try:
        read_package(path)
    except UserError:
        return False
    return True


def _import(path: Path, options: ImportOptions) -> Imported:
    """The model with a tokenizer of bytes behind its language and, if given, its speaking rate."""
    if options.language not in LANGUAGES:
        raise UserError(f"--language {options.language}: choose one of {', '.join(LANGUAGES)}")
    model = load(path, options.heads, options.head_dim)
    config = model.config
    tokenizer = make_tokenizer(options.text_tokenizer or "bytes", config)
    if isinstance(tokenizer, ByteTokenizer):
        language = config.language_id(LANGUAGES.index(options.language))
        rates = () if options.cps is None else (config.rate_id(options.cps),)
        tokenizer = ByteTokenizer((language, *rates))
    longest = min(_LONGEST_UTTERANCE, max(1, (config.longest_text - 1) // 3))
    return Imported(model, tokenizer, card_of(path, options, FRAME_RATE, longest))


def _encoder_layers(sizes: Mapping[str, Any], tunables: Mapping[str, Any]) -> int:
    return int(2 * sizes["depth"] * tunables.get("encoder_depth_ratio", 0.25))


def config_of(sizes: Mapping[str, Any], tunables: Mapping[str, Any]) -> TextToSemanticConfig:
    heads, width, layers = sizes["n_head"], sizes["n_head"] * sizes["head_width"], _encoder_layers(sizes, tunables)
    rates = int(tunables.get("cps_bins", 32)) if tunables.get("cps_input", True) else 0
    step = FASTEST / max(1, rates)
    return TextToSemanticConfig(
        text_vocab_size=sizes["ttoks_codes"] + len(LANGUAGES) + rates, semantic_units=sizes["stoks_codes"], dim=width,
        heads=heads, kv_heads=heads, head_dim=sizes["head_width"], encoder_layers=layers,
        decoder_layers=2 * sizes["depth"] - layers, ff_inner=sizes["ffn_mult"] * width, null_kv=False,
        embedding_scale=1.0, norm_eps=1e-5, text_pad_id=0, norm="layer", feed_forward="gelu", attention_bias=True,
        feed_forward_bias=True, positions="table", causal_encoder=bool(tunables.get("causal_encoder", True)),
        tied_output=False, semantic_eos_id=sizes["stoks_codes"] + int(tunables.get("padding_token_offset", -1)),
        text_start_id=0, text_length=sizes["ttoks_len"], languages=len(LANGUAGES), speaking_rates=rates,
        rate_step=step, default_rate=min(int(DEFAULT_RATE / step), max(0, rates - 1)),
        # The longest utterance is one token shorter than the table, whose first row is the start's.
        max_positions=sizes["stoks_len"] - 1 + LONGEST_BLOCK,
    )  # fmt: skip


def expected_keys(sizes: Mapping[str, Any], tunables: Mapping[str, Any], config: TextToSemanticConfig) -> Shapes:
    """Every key of such a checkpoint with its shape."""
    width, inner = config.dim, config.ff_inner
    shapes: Shapes = {
        "lang_embeddings.weight": (len(LANGUAGES), width),
        "encoder.positional_embedding": (sizes["ttoks_len"], width), **_norm_keys("encoder.ln_post", width),
        "embeddings.positional_embedding": (sizes["stoks_len"], width), **_norm_keys("decoder.ln_post", width),
        **_embedding_keys("encoder.embedding", sizes["ttoks_codes"], sizes.get("ttoks_width"), width, False),
        **_embedding_keys("embeddings.embedding", sizes["stoks_codes"], sizes.get("stoks_width"), width, True),
    }  # fmt: skip
    if config.speaking_rates:
        shapes["cps_embeddings.weight"] = (config.speaking_rates, width)
    for side, depth in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for layer in range(depth):
            place = f"{side}.layers.{layer}"
            for attention in ("attn", "cross_attn")[: 1 + (side == "decoder")]:
                shapes |= {f"{place}.{attention}.{part}.weight": (width, width) for part in _PARTS}
                shapes |= {f"{place}.{attention}.{part}.bias": (width,) for part in _PARTS if part != "key"}
                shapes |= _norm_keys(f"{place}.{attention}_ln", width)
            shapes |= {
                f"{place}.mlp.0.weight": (inner, width), f"{place}.mlp.0.bias": (inner,),
                f"{place}.mlp.2.weight": (width, inner), f"{place}.mlp.2.bias": (width,),
                **_norm_keys(f"{place}.mlp_ln", width),
            }  # fmt: skip
    return shapes


_PARTS = ("query", "key", "value", "out")


def _norm_keys(place: str, width: int) -> Shapes:
    return {f"{place}.weight": (width,), f"{place}.bias": (width,)}


def _embedding_keys(place: str, codes: int, narrow: int | None, width: int, special: bool) -> Shapes:
    shapes: Shapes = {f"{place}.main.weight": (codes, narrow or width)}
    if narrow is not None and narrow != width:
        shapes |= {f"{place}.emb_to_hidden.weight": (width, narrow), f"{place}.emb_to_hidden.bias": (width,)}
        if special:
            shapes |= {f"{place}.hidden_to_emb.weight": (narrow, width), f"{place}.hidden_to_emb.bias": (narrow,)}
    if special:
        shapes[f"{place}.special.weight"] = (1, width)
    return shapes


def _state(
    table: Table, sizes: Mapping[str, Any], tunables: Mapping[str, Any], config: TextToSemanticConfig
) -> dict[str, Tensor]:
    factor = float(tunables.get("query_mult", 1)) * 8 / config.head_dim**0.5
    scale = float(tunables.get("output_mult", 1)) / (config.heads / 3)
    inputs, outputs, bias = _semantic_tables(table)
    positions = table["embeddings.positional_embedding"]
    state = {
        "text_embedding.weight": _read_table(table, "encoder.embedding"),
        "encoder.positions": table["encoder.positional_embedding"],
        # Drafts behind the longest utterance are never accepted, whatever their positions are.
        "decoder.positions": F.pad(positions, (0, 0, 0, config.max_positions - len(positions))),
        "decoder.embedding.weight": torch.cat((inputs, inputs[config.eos_id][None])),
        "decoder.output.weight": outputs * scale, "decoder.output.bias": bias * scale,
        "conditions.language.weight": table["lang_embeddings.weight"],
    }  # fmt: skip
    if config.speaking_rates:
        state["conditions.rate.weight"] = table["cps_embeddings.weight"]
    for side, depth in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for part in ("weight", "bias"):
            state[f"{side}.final_norm.{part}"] = table[f"{side}.ln_post.{part}"]
        for layer in range(depth):
            state |= _layer(table, f"{side}.layers.{layer}", side == "decoder", factor)
    return state


def _layer(table: Table, place: str, crosses: bool, factor: float) -> dict[str, Tensor]:
    state = {}
    for part in ("weight", "bias"):
        query, key, value = _attention(table, f"{place}.attn", part, factor)
        state[f"{place}.attention.qkv.{part}"] = torch.cat((query, key, value))
        state[f"{place}.attention.out.{part}"] = table[f"{place}.attn.out.{part}"]
        state[f"{place}.attention_norm.{part}"] = table[f"{place}.attn_ln.{part}"]
        state[f"{place}.feed_forward_norm.{part}"] = table[f"{place}.mlp_ln.{part}"]
        state[f"{place}.feed_forward.expand.{part}"] = table[f"{place}.mlp.0.{part}"]
        state[f"{place}.feed_forward.out.{part}"] = table[f"{place}.mlp.2.{part}"]
        if crosses:
            query, key, value = _attention(table, f"{place}.cross_attn", part, factor)
            state[f"{place}.cross.query.{part}"] = query
            state[f"{place}.cross.kv.{part}"] = torch.cat((key, value))
            state[f"{place}.cross.out.{part}"] = table[f"{place}.cross_attn.out.{part}"]
            state[f"{place}.cross_norm.{part}"] = table[f"{place}.cross_attn_ln.{part}"]
    return state


def _attention(table: Table, place: str, part: str, factor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Queries times the score's own factor; keys have no bias, which is one of zeros."""
    query, value = table[f"{place}.query.{part}"] * factor, table[f"{place}.value.{part}"]
    key = torch.zeros_like(value) if part == "bias" else table[f"{place}.key.{part}"]
    return query, key, value


def _read_table(table: Table, place: str) -> Tensor:
    """What an embedding makes of every id, its projection to the model's width included."""
    main = table[f"{place}.main.weight"]
    widen = table.get(f"{place}.emb_to_hidden.weight")
    return main if widen is None else F.linear(main, widen, table[f"{place}.emb_to_hidden.bias"])


def _semantic_tables(table: Table) -> tuple[Tensor, Tensor, Tensor]:
    """Input table [V, D], output weights [V, D] and bias [V] before the factor on logits."""
    place = "embeddings.embedding"
    main, special = table[f"{place}.main.weight"], table[f"{place}.special.weight"]
    narrow = table.get(f"{place}.hidden_to_emb.weight")
    outputs = main if narrow is None else main @ narrow
    bias = main.new_zeros(len(main)) if narrow is None else main @ table[f"{place}.hidden_to_emb.bias"]
    return (
        torch.cat((_read_table(table, place), special)), torch.cat((outputs, special)), F.pad(bias, (0, 1)),
    )  # fmt: skip


IMPORTER = Importer(
    "whisperspeech", "`{config, tunables, state_dict}` of its text-to-semantic model", _recognises, _import,
    frozenset({"text_tokenizer", "heads", "head_dim", "cps"}),
)  # fmt: skip
