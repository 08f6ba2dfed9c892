"""Requests: what callers ask for, and the same checked, with bounds, seed and name of noise. Knows no tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from spear_accel.decoding.guards import Guards
from spear_accel.decoding.noise import utterance_key
from spear_accel.decoding.options import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.model import TextToSemanticConfig
from spear_accel.model.config import LONGEST_BLOCK


@dataclass(frozen=True)
class Request:
    """A text to decode, as a caller asks for it; see `Engine.decode` for what stands where something is left out."""

    text: Sequence[int]
    """Ids without EOS."""
    units: int | None = None
    seed: int | None = None
    key: int | None = None


@dataclass(frozen=True)
class Utterance:
    """A checked request: what to decode and within which bounds."""

    index: int
    text: tuple[int, ...]
    """Text ids as the encoder reads them, EOS included where the model uses one."""
    key: int
    seed: int
    minimum: int
    maximum: int
    expected: float


def make_utterances(
    config: TextToSemanticConfig,
    texts: Sequence[Sequence[int]],
    options: DecodeOptions,
    guards: Guards,
    units: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    keys: Sequence[int] | None = None,
) -> list[Utterance]:
    """Checked requests with their bounds; see `Engine.decode` for the arguments and errors."""
    for name, values in (("units", units), ("seeds", seeds), ("keys", keys)):
        if values is not None and len(values) != len(texts):
            raise UserError(f"{len(values)} {name} for {len(texts)} texts; give one for each")
    filled = zip(texts, units or repeat(None), seeds or repeat(None), keys or repeat(None), strict=False)
    requests = [Request(*values) for values in filled]
    return [make_utterance(config, request, options, guards, index) for index, request in enumerate(requests)]


def make_utterance(
    config: TextToSemanticConfig, request: Request, options: DecodeOptions, guards: Guards, index: int
) -> Utterance:
    """A checked request with its bounds; see `Engine.decode` for the errors."""
    text = request.text
    size = len(text) if request.units is None else request.units
    room = config.max_positions - LONGEST_BLOCK
    maximum = min(guards.length.maximum(size), options.max_tokens or room, room)
    return Utterance(
        index=index,
        text=_checked_ids(config, [int(token) for token in text], index),
        key=utterance_key(text) if request.key is None else request.key,
        seed=options.seed if request.seed is None else request.seed,
        minimum=min(guards.length.minimum(size), maximum),
        maximum=maximum,
        expected=guards.length.expected(size),
    )


def complete_text(config: TextToSemanticConfig, text: Sequence[int]) -> tuple[int, ...]:
    """Text ids as the encoder reads them, with the start and the end that the model uses.

    Ids that choose language and rate stay in front of the start. A start that is there already is not repeated.
    """
    first = next((place for place, token in enumerate(text) if token < config.letters), len(text))
    conditions, letters = tuple(text[:first]), tuple(text[first:])
    if config.text_start_id is not None and letters[:1] != (config.text_start_id,):
        letters = (config.text_start_id, *letters)
    return (*conditions, *letters) if config.text_eos_id is None else (*conditions, *letters, config.text_eos_id)


def _checked_ids(config: TextToSemanticConfig, text: list[int], index: int) -> tuple[int, ...]:
    if not text:
        raise UserError(f"utterance {index} has no text")
    ids = complete_text(config, text)
    letters = len(ids) - next((place for place, token in enumerate(ids) if token < config.letters), len(ids))
    if letters > config.longest_text:
        raise UserError(f"utterance {index}: {letters} text ids exceed the model's {config.longest_text}; split it")
    front = len(ids) - letters
    unknown = [token for token in ids[front:] if not 0 <= token < config.letters]
    if unknown:
        raise UserError(f"utterance {index}: text id {unknown[0]} is outside 0 to {config.letters - 1}")
    _check_conditions(config, ids[:front], index)
    return ids


def _check_conditions(config: TextToSemanticConfig, ids: tuple[int, ...], index: int) -> None:
    languages = sum(token < config.letters + config.languages for token in ids)
    if max(languages, len(ids) - languages, 0) > 1 or any(token >= config.text_vocab_size for token in ids):
        raise UserError(
            f"utterance {index}: {list(ids)} in front of the text; at most one id of a language "
            f"and one of a rate, below {config.text_vocab_size}, may stand there"
        )
