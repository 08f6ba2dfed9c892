"""Runs to records: the fields of `bench --json`, and the comparison with autoregressive decoding.

Knows nothing about how runs were made or how records are shown.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

import spear_accel
from spear_accel.bench.speed import AUTOREGRESSIVE, Case, Run
from spear_accel.decoding import DecodeOptions, DecodeStats
from spear_accel.model import TextToSemantic
from spear_accel.native import TORCH, choose_kernel
from spear_accel.storage.provenance import provenance


@dataclass(frozen=True)
class Difference:
    """The first token that is not the autoregressive one."""

    utterance: int
    """Index among the texts, from 0."""
    position: int
    """Index among the utterance's tokens, from 0."""
    expected: int | None
    """The autoregressive token, None where the utterance had ended."""
    found: int | None


@dataclass(frozen=True)
class Record:
    """One way to decode at one batch size.

    Times and counts are those of a single run of the repeats, the one with the median wall time (the faster of the two
    in the middle where their number is even), so that they fit together. None stands for what there was nothing to
    measure of: autoregressive decoding drafts nothing, and a GPU's steps run behind the host's clock, so the costs of
    single steps are not known there.
    """

    method: str
    verify: str
    draft_length: int | Literal["auto"]
    batch_size: int
    temperature: float
    tokens: int
    """Of all utterances, EOS and abandoned attempts not counted."""
    wall_seconds: float
    tokens_per_second: float
    speedup: float
    """Wall seconds of the autoregressive record of this batch size / wall seconds."""
    block_efficiency: float
    """Committed tokens / target calls per row."""
    acceptance_rate: float | None
    """Accepted / drafted tokens."""
    target_calls: int
    identical_to_autoregressive: bool
    """All tokens of all repeats."""
    device: str
    dtype: str
    threads: int
    kernel: str
    """What computed the target model: "torch", or a build of the native step."""
    versions: dict[str, str]
    acceptance_by_position: tuple[float, ...]
    """P(first i drafts all accepted), i = 1, 2, ..., among drafts that were that long."""
    draft_cost: float | None
    """Leviathan's c: (draft_seconds / drafted steps) / t. Drafted steps = drafted / (row_calls / target_calls), that is
    the mean number of rounds times the mean draft length of a row: exact where all rows of a round draft equally many.
    t = target_seconds / target_calls of the autoregressive record of this batch size: the target's time for one token
    of every live row. A method that drafts several tokens in one step has its time divided among them."""
    verify_cost: float | None
    """v = (target_seconds / target_calls) / t: what a target call on drafts costs against one on a single token. Below
    1 where drafting has already computed part of the target's layers."""
    method_used: str
    """What method "auto" chose, else the method."""
    mean_draft_length: float | None
    """Drafted tokens per row and round: what "auto" came to."""
    different_utterances: int
    """Utterances whose tokens differ, in the repeat where most do."""
    first_difference: Difference | None
    utterances: int
    stop_reasons: dict[str, int]
    seed: int
    repeat_seconds: tuple[float, ...]
    """Wall seconds of each repeat in the order measured."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Version, git commit and arguments of the program that measured."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Conditions:
    """What all records of a benchmark share."""

    temperature: float
    seed: int
    device: str
    dtype: str
    threads: int
    kernel: str
    versions: dict[str, str]
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: TextToSemantic, options: DecodeOptions, arguments: Mapping[str, Any] | None = None
    ) -> Conditions:
        """Those of this process, for the model that decodes."""
        versions = {
            "torch": str(torch.__version__),
            "spear_accel": spear_accel.__version__,
            "python": platform.python_version(),
        }
        device = str(model.device)
        dtype = model.decoder.backend.precision
        kernel = choose_kernel().name if model.device.type == "cpu" else TORCH
        return cls(
            options.temperature, options.seed, device, dtype, torch.get_num_threads(), kernel, versions,
            provenance(asdict(options) if arguments is None else arguments),
        )  # fmt: skip


def make_records(runs: Sequence[Run], conditions: Conditions) -> list[Record]:
    """One record per batch size and case, in the order in which they were first measured."""
    groups: dict[tuple[int, Case], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.batch_size, run.case), []).append(run)
    return [_record(repeats, groups[size, AUTOREGRESSIVE], conditions) for (size, _), repeats in groups.items()]


def first_difference(expected: Sequence[Tensor], found: Sequence[Tensor]) -> Difference | None:
    """Where two lists of utterances (int64 [n_i] each) part, None where they are equal."""
    for utterance, (left, right) in enumerate(zip(expected, found, strict=True)):
        if not torch.equal(left, right):
            return _parting(utterance, left.tolist(), right.tolist())
    return None


def _parting(utterance: int, expected: list[int], found: list[int]) -> Difference:
    shared = min(len(expected), len(found))
    position = next((i for i in range(shared) if expected[i] != found[i]), shared)
    at = [tokens[position] if position < len(tokens) else None for tokens in (expected, found)]
    return Difference(utterance, position, at[0], at[1])


def _median(repeats: Sequence[Run]) -> Run:
    return sorted(repeats, key=lambda run: run.seconds)[(len(repeats) - 1) // 2]


def _record(repeats: Sequence[Run], references: Sequence[Run], conditions: Conditions) -> Record:
    run, reference = _median(repeats), _median(references)
    stats = run.result.stats
    token = _call_seconds(reference.result.stats) if conditions.device == "cpu" else 0.0
    tokens = sum(len(row) for row in run.result.tokens)
    expected = references[0].result.tokens
    differences = [first_difference(expected, one.result.tokens) for one in repeats]
    difference = next((one for one in differences if one is not None), None)
    return Record(
        method=run.case.method,
        verify=run.case.verify,
        draft_length=run.case.draft_length,
        batch_size=run.batch_size,
        temperature=conditions.temperature,
        tokens=tokens,
        wall_seconds=run.seconds,
        tokens_per_second=tokens / run.seconds,
        speedup=reference.seconds / run.seconds,
        block_efficiency=stats.block_efficiency,
        acceptance_rate=stats.acceptance_rate if stats.drafted else None,
        target_calls=stats.target_calls,
        identical_to_autoregressive=difference is None,
        device=conditions.device,
        dtype=conditions.dtype,
        threads=conditions.threads,
        kernel=conditions.kernel,
        versions=conditions.versions,
        acceptance_by_position=stats.acceptance_by_position,
        draft_cost=_draft_cost(stats, token),
        verify_cost=_call_seconds(stats) / token if stats.drafted and token else None,
        method_used=run.result.method,
        mean_draft_length=stats.drafted / stats.row_calls if stats.drafted else None,
        different_utterances=max(_count_different(expected, one.result.tokens) for one in repeats),
        first_difference=difference,
        utterances=len(run.result.tokens),
        stop_reasons=dict(Counter(run.result.stop_reasons)),
        seed=conditions.seed,
        repeat_seconds=tuple(one.seconds for one in repeats),
        provenance=conditions.provenance,
    )


def _call_seconds(stats: DecodeStats) -> float:
    return stats.target_seconds / stats.target_calls if stats.target_calls else 0.0


def _draft_cost(stats: DecodeStats, token_seconds: float) -> float | None:
    """See `Record.draft_cost`; None where nothing was drafted or `token_seconds` is 0, that is not known."""
    if not stats.drafted or not token_seconds:
        return None
    steps = stats.drafted * stats.target_calls / stats.row_calls
    return stats.draft_seconds / steps / token_seconds


def _count_different(expected: Sequence[Tensor], found: Sequence[Tensor]) -> int:
    return sum(not torch.equal(left, right) for left, right in zip(expected, found, strict=True))
