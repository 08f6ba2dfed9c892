"""Our model back in the layout of spear-tts-pytorch: what was imported comes out bit for bit.

A model of our own goes too if the layout can say it: its embedding scale is folded into other tensors, and biases that
it lacks are zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.heads import EarlyExit
from spear_accel.importers.spear_tts_pytorch_keys import (
    ALIASES,
    THETA,
    exit_names,
    frequencies,
    names,
    query_order,
)
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage import files
from spear_accel.voice import components
from spear_accel.voice.folder import VoiceFolder

__all__ = ["export", "export_voice", "fits", "save"]


def export_voice(voice: VoiceFolder, path: str | Path) -> bool:
    """Write a voice's model, with its early exit if the layout has a place for it.

    Returns:
        False if the voice has an early exit that had to be left out.

    Raises:
        UserError: As `export`; or `path` cannot be written.
    """
    files.check_writable(path)
    model = components.load_text_to_semantic(voice)
    head = components.load_heads(voice, model.config).get("early-exit")
    fitting = head if isinstance(head, EarlyExit) and fits(head) else None
    save(model, path, fitting)
    return head is fitting


def save(model: TextToSemantic, path: str | Path, early_exit: EarlyExit | None = None) -> None:
    """Write the checkpoint as the peer's trainer does, `{"model": state_dict}`.

    Raises:
        UserError: As `export`; or `path` cannot be written.
    """
    table = export(model, early_exit)
    with files.replacing(path) as temporary:
        torch.save({"model": table}, temporary)


def export(model: TextToSemantic, early_exit: EarlyExit | None = None) -> dict[str, Tensor]:
    """The peer's keys and tensors.

    Raises:
        UserError: The layout cannot say what the model or the head does; every reason is named.
    """
    config = model.config
    _check(config, early_exit)
    state = {**_zero_biases(model), **model.state_dict()}
    table = {theirs: state[ours] for ours, theirs in names(config).items() if ours in state}
    embedding, start = state["decoder.embedding.weight"][: config.vocab], state["decoder.embedding.weight"][-1]
    table |= {"semantic_token_emb.weight": embedding, "start_token.speech": start}
    table.setdefault("start_token.text", torch.zeros(config.dim))
    for side, theirs, order in (("encoder", "source", None), ("decoder", "target", query_order(config))):
        for layer in range(len(getattr(model, side).layers)):
            table |= _self_attention(
                state, f"{side}.layers.{layer}", f"{theirs}_transformer.layers.{layer}", config, order
            )
    table = _unscaled(table, config.embedding_scale)
    if early_exit is not None:
        own = early_exit.state_dict()
        table |= {theirs: own[ours] for ours, theirs in exit_names().items()}
    table |= {other: table[first] for first, others in ALIASES.items() for other in others}
    return {name: value.detach().cpu().contiguous() for name, value in table.items()}


def _self_attention(
    state: Mapping[str, Tensor], mine: str, other: str, config: TextToSemanticConfig, order: Tensor | None
) -> dict[str, Tensor]:
    packed, out = state[f"{mine}.attention.qkv.weight"], state[f"{mine}.attention.out.weight"]
    query, kv = packed[: out.shape[1]], packed[out.shape[1] :]
    table = {f"{other}.0.rotary_emb.freqs": frequencies(config.head_dim), f"{other}.0.to_kv.0.weight": kv}
    if order is not None:
        back = order.argsort()
        query, out = query[back], out[:, back]
        table[f"{other}.1.null_kv"] = state[f"{mine}.cross.null"][:, :, None]
    return {**table, f"{other}.0.to_q.0.weight": query, f"{other}.0.to_out.weight": out}


def _unscaled(table: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Inputs grow by the scale; the logits, which the same embedding makes, are kept by a smaller gain before it."""
    if scale == 1.0:
        return table
    grown = ("semantic_token_emb.weight", "token_emb.text.weight", "start_token.speech", "start_token.text")
    shrunk = "target_transformer.final_norm.gamma"
    return {**table, **{name: table[name] * scale for name in grown}, shrunk: table[shrunk] / scale}


def _zero_biases(model: TextToSemantic) -> dict[str, Tensor]:
    if model.config.feed_forward_bias:
        return {}
    return {
        f"{name}.bias": module.weight.new_zeros(len(module.weight))
        for name, module in model.named_modules()
        if name.endswith(("feed_forward.expand", "feed_forward.out")) and isinstance(module, torch.nn.Linear)
    }


def _check(config: TextToSemanticConfig, early_exit: EarlyExit | None) -> None:
    heads = config.heads
    faults = [
        what
        for what, present in (
            ("positions that tie speech to text (pace)", config.pace is not None),
            ("learned positions", config.positions != "rotary"),
            ("another rotary theta", config.rotary_theta != THETA),
            ("another norm", config.norm != "rms"),
            ("another feed-forward", config.feed_forward != "geglu"),
            ("biases in attention", config.attention_bias),
            ("an output projection of its own", not config.tied_output),
            ("no null key and value", not config.null_kv),
            ("grouped heads in the encoder", (config.encoder_kv_heads or config.kv_heads) != heads),
            ("grouped heads in cross-attention", (config.cross_kv_heads or config.kv_heads) != heads),
            ("languages or rates", bool(config.languages or config.speaking_rates)),
            ("another text end or pad", (config.text_eos_id, config.text_pad_id) != (config.text_vocab_size - 1, 0)),
            ("an early exit of another shape", early_exit is not None and not fits(early_exit)),
        )
        if present
    ]
    if faults:
        raise UserError(f"the spear-tts-pytorch layout has no place for: {', '.join(faults)}")


def fits(early_exit: EarlyExit) -> bool:
    """Whether the layout has a place for this head."""
    return not len(early_exit.blocks) and early_exit.config.feed_forward > 0
