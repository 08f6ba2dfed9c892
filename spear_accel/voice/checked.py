"""Utterances decoded until they say their text: what skips or repeats words, or does not end, brings the next seed.

The seeds are those of `synth`, so the same text and seed are said alike by both. Knows no sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from spear_accel.alignment.attention import CoverageGuard, align
from spear_accel.decoding import DecodeOptions, DecodeResult, DecodeStats, RequestResult
from spear_accel.model import TextToSemantic
from spear_accel.text.plan import PlannedUtterance
from spear_accel.voice.attempts import Attempt, UtteranceJob
from spear_accel.voice.generator import SemanticGenerator

__all__ = ["Decoded", "decode_checked", "doubt_of"]

RETRIES = 2
"""How often an utterance is decoded again, as by default in `synth`."""


class Decoded(NamedTuple):
    """A group of utterances."""

    result: DecodeResult
    doubts: Sequence[str | None]
    """What speaks against each utterance that was kept for want of a better one."""


def doubt_of(generator: SemanticGenerator, planned: PlannedUtterance, tokens: Tensor) -> str | None:
    """Words of its text that an utterance skips or repeats; None where nothing does, or where attention does not tell.

    tokens: int64 [n], without EOS.
    """
    if not len(tokens):
        return None
    return CoverageGuard().fault(align(generator.model, generator.tokenizer.encode(planned.text), tokens))


def decode_checked(
    generator: SemanticGenerator, planned: Sequence[PlannedUtterance], options: DecodeOptions
) -> Decoded:
    """Decode utterances; those that are not good again, together, with seeds of their own.

    Each depends on its own text and seed alone, as without the check.
    """
    jobs = [UtteranceJob(one, generator.tokenizer.encode(one.text), options.seed) for one in planned]
    results: dict[int, RequestResult] = {}
    waiting = [(job, job.start(1)[0]) for job in jobs]
    counts, method, lossless = [], "", True
    while waiting:
        requests = [replace(generator.request(job.text, options), seed=attempt.seed) for job, attempt in waiting]
        decoded = generator.decode(requests, options)
        counts.append(decoded.stats)
        method, lossless = decoded.method, decoded.lossless
        for (job, attempt), result in zip(waiting, decoded.results(), strict=True):
            results[id(attempt)] = result
            _judge(generator.model, job, attempt, result)
        waiting = [(job, job.retry()) for job, attempt in waiting if _needs_retry(job, attempt, options)]
    # Where every attempt failed the first stands, with its stop reason.
    kept = [job.best or job.attempts[0] for job in jobs]
    rows = [results[id(attempt)] for attempt in kept]
    whole = DecodeResult.of(rows, DecodeStats.total(counts), method, lossless)
    return Decoded(whole, [attempt.doubt for attempt in kept])


def _judge(model: TextToSemantic, job: UtteranceJob, attempt: Attempt, result: RequestResult) -> None:
    attempt.finish(result)
    if attempt.failure is None:
        attempt.score = align(model, job.text_ids, result.tokens)
        attempt.doubt = CoverageGuard().fault(attempt.score)


def _needs_retry(job: UtteranceJob, attempt: Attempt, options: DecodeOptions) -> bool:
    # A damaged model is as damaged with another seed, and who bounds the length wants no more.
    final = attempt.failure == "error" or (attempt.failure == "max_length" and options.max_tokens is not None)
    return not attempt.good and not final and job.retries < RETRIES
