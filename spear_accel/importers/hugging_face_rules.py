"""A generation config as rules of tokens and options of decoding; and what of it is left out.

Knows no weights and no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spear_accel.errors import UserError
from spear_accel.model.rules import TokenRules

__all__ = ["Generation", "read_generation"]

_LEFT_OUT: dict[str, tuple[Any, ...]] = {
    "num_beams": (None, 1), "num_beam_groups": (None, 1), "repetition_penalty": (None, 1.0),
    "encoder_repetition_penalty": (None, 1.0), "no_repeat_ngram_size": (None, 0),
    "encoder_no_repeat_ngram_size": (None, 0), "typical_p": (None, 1.0), "min_p": (None, 0.0),
    "epsilon_cutoff": (None, 0.0), "eta_cutoff": (None, 0.0), "sequence_bias": (None,), "guidance_scale": (None, 1.0),
    "exponential_decay_length_penalty": (None,), "penalty_alpha": (None, 0.0), "forced_decoder_ids": (None, []),
    "force_words_ids": (None,), "constraints": (None,), "stop_strings": (None,),
}  # fmt: skip
"""What decoding here does not do, and the values that ask for nothing."""


@dataclass(frozen=True)
class Generation:
    """What a checkpoint says about generation."""

    start: int
    """Token that the decoder reads first."""
    eos: int
    rules: TokenRules | None
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of `DecodeOptions`."""
    left_out: tuple[str, ...] = ()
    """Fields that ask for what decoding here does not do."""


def read_generation(said: Mapping[str, Any], config: Mapping[str, Any], source: str) -> Generation:
    """What a generation config says.

    Args:
        said: The generation config, or `config.json` where there is no other.
        config: `config.json`, for ids that the former leaves out.
        source: The file, for errors.

    Raises:
        UserError: It names no first token or no EOS, or a value is of the wrong kind.
    """
    try:
        return _read(said, config, source)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{source}: a value is of the wrong kind ({error}); correct it") from error


def _read(said: Mapping[str, Any], config: Mapping[str, Any], source: str) -> Generation:
    def first_of(*names: str) -> Any:
        found = (place.get(name) for name in names for place in (said, config))
        return next((value for value in found if value is not None), None)

    start, eos = first_of("decoder_start_token_id", "bos_token_id"), _ids(first_of("eos_token_id"))
    if not isinstance(start, int) or isinstance(start, bool):
        raise UserError("lacks decoder_start_token_id, the token that decoding starts from; add it")
    if not eos:
        raise UserError("lacks eos_token_id, the token that ends an utterance; add it")
    # Positions count from 0 here; there the first token is the start.
    least = max(int(said.get("min_length") or 0) - 1, int(said.get("min_new_tokens") or 0), 0)
    most = said.get("max_new_tokens")
    if most is None and said.get("max_length") is not None:
        most = int(said["max_length"]) - 1
    last = _ids(said.get("forced_eos_token_id"))
    words = said.get("bad_words_ids") or ()
    rules = TokenRules(
        more_eos=tuple(eos[1:]), first=said.get("forced_bos_token_id"), last=last[0] if last else None,
        suppressed=tuple(said.get("suppress_tokens") or ()),
        suppressed_first=tuple(said.get("begin_suppress_tokens") or ()),
        # EOS is never a bad word: an utterance could not end.
        bad_words=tuple(tuple(word) for word in words if list(word) not in [[token] for token in eos]),
        min_tokens=least, max_tokens=most,
    )  # fmt: skip
    left_out = [name for name, nothing in _LEFT_OUT.items() if said.get(name) not in nothing]
    left_out += ["forced_eos_token_id (all but the first)"] if len(last) > 1 else []
    return Generation(start, eos[0], None if rules == TokenRules() else rules, _options(said), tuple(left_out))


def _options(said: Mapping[str, Any]) -> dict[str, Any]:
    """How tokens are drawn: greedily unless the config samples."""
    if not said.get("do_sample"):
        return {"temperature": 0.0}
    named = (("temperature", 1.0), ("top_k", 50), ("top_p", 1.0))
    return {name: default if said.get(name) is None else said[name] for name, default in named}


def _ids(value: Any) -> list[int]:
    if value is None:
        return []
    return [int(token) for token in value] if isinstance(value, list) else [int(value)]
