"""What decoding hands over: new tokens of a request, a request's end, and a whole call's result."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spear_accel.decoding.request import RunningRequest
from spear_accel.decoding.stats import DecodeStats

__all__ = ["DecodeResult", "RequestOutput", "RequestResult", "final_output", "next_output"]


@dataclass(frozen=True)
class RequestResult:
    """A request that has ended."""

    tokens: Tensor
    """int64 [n], on the CPU, without start and EOS."""
    stop_reason: str
    """"eos", "max_length", "loop" (the tokens repeat themselves), "aborted", or "error" (see `error`)."""
    seed: int
    """The seed that made the tokens: decoding with it gives them again at once."""
    attempts: int
    """1, or more if earlier attempts ran into a loop."""
    stats: DecodeStats
    """Of the last attempt."""
    error: str | None = None
    """What went wrong: the model returned NaN, or decoding was broken off."""


@dataclass(frozen=True)
class RequestOutput:
    """New tokens of one request, from one `Engine.step`."""

    id: Hashable
    index: int
    """How many requests the engine, or the call, was given before this one."""
    new_tokens: Tensor
    """int64 [n]: the tokens since the request's last output. n may be 0 only if the request ends."""
    result: RequestResult | None = None
    """The whole request, if it ends here; `result.tokens` are those of all its outputs."""

    @property
    def finished(self) -> bool:
        """Whether the request ends here."""
        return self.result is not None


@dataclass(frozen=True)
class DecodeResult:
    """A whole call. Every list has one entry per text, in the order given; see `RequestResult` for the entries."""

    tokens: list[Tensor]
    stop_reasons: list[str]
    seeds: list[int]
    attempts: list[int]
    stats: DecodeStats
    """Of the whole call, failed attempts included."""
    utterance_stats: list[DecodeStats] = field(default_factory=list)
    """Of each utterance's last attempt."""
    method: str = "autoregressive"
    """The drafter's name; for "auto" in the options, the one it chose."""
    lossless: bool = True
    """False if the verification rule may change what is said."""
    errors: dict[int, str] = field(default_factory=dict)
    """What went wrong, by utterance, for those that stopped with "error"."""

    @classmethod
    def of(
        cls, rows: Sequence[RequestResult], stats: DecodeStats, method: str = "autoregressive", lossless: bool = True
    ) -> DecodeResult:
        """The result of a call from those of its requests, in order."""
        return cls(
            tokens=[row.tokens for row in rows],
            stop_reasons=[row.stop_reason for row in rows],
            seeds=[row.seed for row in rows],
            attempts=[row.attempts for row in rows],
            stats=stats,
            utterance_stats=[row.stats for row in rows],
            method=method,
            lossless=lossless,
            errors={index: row.error for index, row in enumerate(rows) if row.error},
        )

    def results(self) -> list[RequestResult]:
        """The result of each request."""
        columns = zip(self.tokens, self.stop_reasons, self.seeds, self.attempts, self.utterance_stats, strict=True)
        return [RequestResult(*row, error=self.errors.get(index)) for index, row in enumerate(columns)]


def next_output(row: RunningRequest) -> RequestOutput | None:
    """What can be handed over of a request after a round: its end, or new tokens of one that is streamed.

    Tokens that may turn out to be a loop stay back until they do not. A loop behind tokens that were handed over cannot
    be decoded again; it is cut off where it began.
    """
    if row.stop_reason is not None:
        return final_output(row, row.stop_reason)
    if row.stream is None:
        return None
    certain = len(row.tokens) - row.detector.revocable
    if certain - row.num_streamed < row.stream[min(row.outputs, len(row.stream) - 1)]:
        return None
    new = torch.tensor(row.tokens[row.num_streamed : certain], dtype=torch.int64)
    row.outputs, row.num_streamed = row.outputs + 1, certain
    return RequestOutput(row.id, row.index, new)


def final_output(row: RunningRequest, stop_reason: str) -> RequestOutput:
    """The end of a request, with all tokens that were not handed over yet."""
    tokens = row.tokens
    if stop_reason == "loop" and row.num_streamed:
        tokens = tokens[: len(tokens) - row.detector.revocable]
    whole = torch.tensor(tokens, dtype=torch.int64)
    result = RequestResult(whole, stop_reason, row.seed, row.attempt + 1, row.stats, row.error)
    return RequestOutput(row.id, row.index, whole[row.num_streamed :], result)
