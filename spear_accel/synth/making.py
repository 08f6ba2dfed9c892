"""One worker's part of a job: lines of one voice to what is kept of them, sound made while the next are decoded.

Every worker computes with one thread, so that how many there are changes no byte. Knows neither folders nor the other
workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch

from spear_accel.synth.ahead import ahead
from spear_accel.synth.lines import Line
from spear_accel.synth.speaking import SpeakOptions, Spoken, Wanted, speak_lines
from spear_accel.synth.writers import Made
from spear_accel.voice.voice import Voice

__all__ = ["MakeOptions", "Maker", "Outcome", "Task", "by_this_process"]

_WAITING = 64
"""Lines between decoder and acoustic stage."""


@dataclass(frozen=True)
class MakeOptions:
    """How each line is made. `speak`: by voice."""

    speak: Mapping[str, SpeakOptions]
    tokens_only: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Task:
    """Lines of one voice that are given to one worker."""

    voice: str
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a line: `made` and `facts` for its record, or `fault`."""

    line: Line
    made: Made | None
    facts: dict[str, Any]
    fault: str | None = None
    attempts: int = 0


class Maker:
    """A worker: its voices, loaded when a task first names them, and the one thread that decodes for all tasks.

    One thread, because what a thread has allocated is not given to the next.
    """

    def __init__(self, options: MakeOptions, load: Callable[[str], Voice] | None = None) -> None:
        """load: voices by name, from their folders where left out. From here on the process computes with one thread:
        sums of several come to other last bits."""
        torch.set_num_threads(1)
        self._options, self._load = options, load or partial(Voice.load, device=options.device)
        self._voices: dict[str, Voice] = {}
        self._thread = ThreadPoolExecutor(1)

    @torch.inference_mode()
    def make(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Each line of all tasks once, in the order in which they are ready.

        Tasks of one voice that follow one another are one batch, which asks for the next when lines run out. Raises
        UserError: a voice cannot be loaded.
        """
        for name, given in groupby(tasks, lambda task: task.voice):
            if name not in self._voices:
                self._voices[name] = self._load(name)
            voice, wanted = self._voices[name], (one for task in given for one in task.wanted)
            spoken = speak_lines(voice, wanted, self._options.speak[name])
            with closing(ahead(spoken, _WAITING, self._thread)) as waiting:
                for one in waiting:
                    yield _outcome(one, None if self._options.tokens_only else voice)


def _outcome(spoken: Spoken, voice: Voice | None) -> Outcome:
    """voice: None makes no sound."""
    line = spoken.line
    if spoken.fault is not None:
        return Outcome(line, None, {}, spoken.fault, spoken.attempts)
    tokens = torch.cat(spoken.said).numpy().astype(np.int64)
    samples = None if voice is None else voice.sound(spoken.planned, spoken.said, line.speed).numpy()
    made = Made(line.id, tokens, samples, None if voice is None else voice.sample_rate)
    return Outcome(line, made, _facts(spoken, made), None, spoken.attempts)


def _facts(spoken: Spoken, made: Made) -> dict[str, Any]:
    """As NeMo's manifests name things, and what the line came to. Nothing that depends on the machine's speed."""
    line = spoken.line
    seconds = {} if made.samples is None or made.sample_rate is None else {
        "duration": round(len(made.samples) / made.sample_rate, 4)
    }  # fmt: skip
    readings = spoken.readings.values()
    likely = [one.log_prob for one in readings if one.log_prob is not None]
    covered = [one.coverage for one in readings if one.coverage is not None]
    quality = {
        **({"log_prob": round(sum(likely) / len(likely), 4)} if likely else {}),
        **({"coverage": round(min(covered), 4)} if covered else {}),
    }
    return {
        "id": line.id, "line": line.number, "text": line.text, "normalized_text": spoken.text, **seconds,
        "tokens": made.tokens.tolist(), "seeds": spoken.seeds, "speed": line.speed, "stop_reason": "eos",
        "retries": spoken.retries, "utterances": len(spoken.seeds), **quality, "warnings": spoken.warnings,
    }  # fmt: skip


def by_this_process(
    tasks: Sequence[Task], options: MakeOptions, load: Callable[[str], Voice] | None = None
) -> Iterator[Outcome]:
    """Every line of all tasks once, in the calling process, which computes with one thread until all is done.

    load: voices by name, from their folders where left out.
    """
    threads = torch.get_num_threads()
    try:
        yield from Maker(options, load).make(tasks)
    finally:
        torch.set_num_threads(threads)
