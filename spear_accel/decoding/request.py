"""Requests: what a caller asks for, and the same on its way through the engine. Knows no tensors and no models."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from spear_accel.checks import whole
from spear_accel.decoding.noise import retry_seed, utterance_key
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.sampling import SamplingParams
from spear_accel.decoding.stats import DecodeCounts, DecodeStats
from spear_accel.decoding.stopping import LoopCriterion, LoopDetector, StoppingCriteria
from spear_accel.errors import UserError
from spear_accel.model import TextToSemanticConfig
from spear_accel.model.config import LONGEST_BLOCK

__all__ = ["Request", "RunningRequest", "check_request", "complete_text"]


@dataclass(frozen=True)
class Request:
    """A text to decode. What is None comes from the engine's options, or from the text."""

    text: Sequence[int]
    """Text ids without EOS."""
    id: Hashable | None = None
    """Name of the request in `Engine.abort` and in outputs; None: a number that the engine gives."""
    text_length: int | None = None
    """Length of the text in the unit of the length bounds (characters, say); None: the number of ids."""
    seed: int | None = None
    key: int | None = None
    """64-bit name of the utterance for the noise; None: a hash of the ids, so that equal texts with equal seeds get
    equal tokens."""
    sampling: SamplingParams | None = None
    min_tokens: int | None = None
    """EOS is forbidden before; None: the length bounds' minimum."""
    max_tokens: int | None = None
    """Decoding stops at this number; None: the options' or the length bounds' maximum, whichever is less."""
    loop_retries: int | None = None
    """How often a request that ran into a loop is decoded again, each time with another seed."""
    stream: Sequence[int] | None = None
    """Hand over tokens while they grow: least number of new tokens of the first, second, ... output, the last number
    repeated. None: one output at the end."""


@dataclass(eq=False)
class RunningRequest:
    """A checked request from the queue to its last token; the one object that carries it through the engine."""

    id: Hashable
    index: int
    text: tuple[int, ...]
    """Text ids as the encoder reads them, EOS included if the model uses one."""
    key: int
    first_seed: int
    sampling: SamplingParams
    min_tokens: int
    max_tokens: int
    expected_tokens: float
    retries: int
    loop_criterion: LoopCriterion
    stream: tuple[int, ...] | None = None
    counts: DecodeCounts = field(default_factory=DecodeCounts)
    """Sums of the call that the request belongs to."""

    attempt: int = 0
    tokens: list[int] = field(default_factory=list)
    stop_reason: str | None = None
    error: str | None = None
    num_streamed: int = 0
    """Tokens that were handed over and cannot be taken back."""
    outputs: int = 0
    """How often tokens were handed over."""
    aborted: bool = False
    """Nobody waits for it any more."""

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.detector = LoopDetector(self.loop_criterion)
        self.calls = self.drafted = self.accepted = self.committed = 0
        self._started, self._seconds = time.perf_counter(), 0.0

    @property
    def seed(self) -> int:
        """The seed of this attempt."""
        return retry_seed(self.first_seed, self.attempt)

    @property
    def can_retry(self) -> bool:
        """Whether a loop may be decoded again: nothing of it was handed over, and attempts are left."""
        return self.stop_reason == "loop" and not self.num_streamed and self.attempt < self.retries

    def retry(self) -> None:
        """Begin anew with the next seed."""
        self.attempt += 1
        self.tokens, self.stop_reason = [], None
        self._begin()

    def extend(self, tokens: Iterable[int], eos_ids: Collection[int]) -> int:
        """Commit tokens until one of them stops the request; returns how many were committed."""
        count = 0
        if self.stop_reason is not None:
            return 0
        for token in tokens:
            count += 1
            self.stop_reason = self._push(token, eos_ids)
            if self.stop_reason is not None:
                self._seconds = time.perf_counter() - self._started
                break
        self.committed += count
        return count

    def fail(self, message: str) -> None:
        """Stop here: what would come next cannot be trusted."""
        self.stop_reason, self.error = "error", message
        self._seconds = time.perf_counter() - self._started

    def _push(self, token: int, eos_ids: Collection[int]) -> str | None:
        if token in eos_ids:
            return "eos"
        self.tokens.append(token)
        if self.detector.push(self.tokens):
            return "loop"
        return "max_length" if len(self.tokens) >= self.max_tokens else None

    @property
    def stats(self) -> DecodeStats:
        """Of this attempt."""
        return DecodeStats(self.calls, self.calls, self.drafted, self.accepted, self.committed, self._seconds)


def check_request(
    config: TextToSemanticConfig, request: Request, options: DecodeOptions, stopping: StoppingCriteria, index: int = 0
) -> RunningRequest:
    """A request with everything filled in.

    Raises:
        UserError: The text is empty, too long for the model or holds an unknown id, or a bound is out of range.
    """
    text = [int(token) for token in request.text]
    ids = _checked_ids(config, text, index)
    length = len(text) if request.text_length is None else request.text_length
    room = config.max_positions - LONGEST_BLOCK
    most = options.max_tokens if request.max_tokens is None else whole("max_tokens", request.max_tokens, 1)
    shortest, longest = _bounds(config, stopping, length)
    maximum = min(longest, most or room, room)
    least = shortest if request.min_tokens is None else whole("min_tokens", request.min_tokens, 0)
    sampling = request.sampling or options.sampling
    retries = options.loop_retries if request.loop_retries is None else whole("loop_retries", request.loop_retries, 0)
    return RunningRequest(
        id=index if request.id is None else request.id,
        index=index,
        text=ids,
        key=utterance_key(text) if request.key is None else whole("key", request.key),
        first_seed=options.seed if request.seed is None else whole("seed", request.seed),
        sampling=sampling,
        min_tokens=min(least, maximum),
        max_tokens=maximum,
        expected_tokens=stopping.length.expected(length),
        # Another seed cannot help where no noise is used.
        retries=0 if sampling.greedy else retries,
        loop_criterion=stopping.loop,
        stream=None if request.stream is None else tuple(whole("stream", size, 1) for size in request.stream) or (1,),
    )


def _bounds(config: TextToSemanticConfig, stopping: StoppingCriteria, length: int) -> tuple[int, int]:
    """Least and most tokens of an utterance: what the model's rules say goes before what a text's length suggests."""
    rules = config.rules
    least, most = stopping.length.minimum(length), stopping.length.maximum(length)
    if rules is None:
        return least, most
    # A bound of the rules is no guess, so the guesses of both sides give way to it.
    if rules.max_tokens is not None:
        return rules.min_tokens, rules.max_tokens
    return max(least, rules.min_tokens), max(most, rules.min_tokens)


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
