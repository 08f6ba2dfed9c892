"""One worker: lines to tokens, sound and records. The sound of finished lines is made while the next are decoded.

Knows neither the dataset's folder nor the other workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch

from spear_accel.audio.treatment import Treatment
from spear_accel.synth.chunks import Chunk
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.line_scheduler import LineOptions, decode_lines
from spear_accel.synth.lines import Line
from spear_accel.synth.memory import limit_malloc_growth
from spear_accel.synth.prefetch import prefetch
from spear_accel.synth.sample import Sample
from spear_accel.synth.sound import sound_of_line
from spear_accel.text.respelling import Respellings
from spear_accel.voice.voice import Voice

__all__ = ["LineResult", "Worker", "WorkerOptions", "start_worker"]

_QUEUED_LINES = 64
"""Between decoder and acoustic stage."""


@dataclass(frozen=True)
class WorkerOptions:
    """How lines become samples."""

    lines: Mapping[str, LineOptions]
    """By the name of the voice."""
    tokens_only: bool = False
    device: str = "cpu"
    dtype: str = "auto"
    words: bool = False
    """Whether records tell when each word is said."""
    treatment: Treatment = field(default_factory=Treatment)
    respellings: Respellings | None = None


@dataclass(frozen=True)
class LineResult:
    """What became of a line: a sample and its record, or a fault.

    Crosses from a worker's process to the one that writes. A `LineJob` does not: each of its tensors would be sent as
    an open file.
    """

    line: Line
    voice: str
    attempts: int
    sample: Sample | None = None
    record: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None


def start_worker(options: WorkerOptions) -> Worker:
    """A worker for a process that does nothing else. From here on the process computes with one thread."""
    limit_malloc_growth()
    # Sums of several threads have other last bits; with one each, the number of workers changes no byte.
    torch.set_num_threads(1)
    return Worker(options)


class Worker:
    """Voices, loaded when a line first names them, and the one thread that decodes.

    One thread for all lines, because memory that a thread has freed does not serve the next thread.
    """

    def __init__(self, options: WorkerOptions, load_voice: Callable[[str], Voice] | None = None) -> None:
        """load_voice: makes a voice from its name; by default `Voice.load` on the device of the options."""
        self._options, self._load_voice = (
            options,
            load_voice or partial(Voice.load, device=options.device, dtype=options.dtype),
        )
        self._voices: dict[str, Voice] = {}
        self._thread = ThreadPoolExecutor(1)

    @torch.inference_mode()
    def make(self, chunks: Iterable[Chunk]) -> Iterator[LineResult]:
        """Makes each line of all chunks once; results come in the order in which lines finish.

        Lines of one voice that follow one another are decoded as one batch, which asks for the next chunk when it runs
        out of lines.

        Raises:
            UserError: A voice cannot be loaded.
        """
        jobs = (job for chunk in chunks for job in chunk)
        for name, own in groupby(jobs, lambda job: job.voice):
            voice = self._voice(name)
            decoded = decode_lines(voice, own, self._options.lines[name])
            with closing(prefetch(decoded, _QUEUED_LINES, self._thread)) as finished:
                for job in finished:
                    yield self._result(job, voice)

    def _voice(self, name: str) -> Voice:
        if name not in self._voices:
            voice, respellings = self._load_voice(name), self._options.respellings
            self._voices[name] = voice if respellings is None else voice.with_respellings(respellings)
        return self._voices[name]

    def _result(self, job: LineJob, voice: Voice) -> LineResult:
        if job.fault is not None:
            return LineResult(job.line, job.voice, job.attempts, fault=job.fault)
        tokens = torch.cat(job.tokens).numpy().astype(np.int64)
        if self._options.tokens_only:
            sample = Sample(job.line.id, tokens, None, None)
            return LineResult(job.line, job.voice, job.attempts, sample, _record(job, sample))
        sounded = sound_of_line(voice, job, self._options.words)
        treatment = self._options.treatment
        samples = treatment.whole(sounded.waveform.numpy(), voice.sample_rate)
        sample = Sample(job.line.id, tokens, samples, treatment.rate(voice.sample_rate))
        record = _record(job, sample)
        if self._options.words:
            record["words"] = [word.to_dict() for word in sounded.words]
            record["warnings"] += sounded.warnings
        return LineResult(job.line, job.voice, job.attempts, sample, record)


def _record(job: LineJob, sample: Sample) -> dict[str, Any]:
    """The manifest's record, in the names of NeMo's manifests. Holds nothing that depends on the machine's speed."""
    line = job.line
    return {
        "id": line.id,
        "line": line.number,
        "text": line.text,
        "normalized_text": job.normalized_text,
        **({} if sample.seconds is None else {"duration": round(sample.seconds, 4)}),
        "tokens": sample.tokens.tolist(),
        "seeds": [attempt.seed for attempt in job.kept],
        "speed": line.speed,
        "stop_reason": "eos",
        "retries": job.retries,
        "utterances": len(job.utterances),
        **_scores(job),
        "warnings": job.warnings,
    }


def _scores(job: LineJob) -> dict[str, float]:
    """Mean log-probability and least coverage of the utterances, if they were scored."""
    scores = [attempt.score for attempt in job.kept if attempt.score is not None]
    log_probs = [score.log_prob for score in scores if score.log_prob is not None]
    return {
        **({"log_prob": round(sum(log_probs) / len(log_probs), 4)} if log_probs else {}),
        **({"coverage": round(min(score.coverage for score in scores), 4)} if scores else {}),
    }
