"""A worker in this process: what it asks for, what it returns, and that it forgets what it has made."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spear_accel import Voice
from spear_accel.audio.treatment import Treatment
from spear_accel.synth import Line
from spear_accel.synth.chunks import Chunk
from spear_accel.synth.executor import InProcessExecutor, make_executor
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.process_executor import ProcessExecutor
from spear_accel.synth.worker import Worker, WorkerOptions
from spear_accel.text.respelling import Respellings
from spear_accel.voice.attempts import UtteranceJob


def test_chunks_are_asked_for_as_rows_fall_empty(
    lines: list[Line], worker_options: WorkerOptions, ending_voice: Path
) -> None:
    """No more than are decoded and wait for their sound; and a voice is loaded once."""
    loaded: list[str] = []
    asked = 0

    def load(name: str) -> Voice:
        loaded.append(name)
        return Voice.load(name)

    def chunks() -> Iterator[Chunk]:
        nonlocal asked
        for number in range(60):
            asked += 1
            yield [LineJob(replace(line, id=f"{number}-{line.id}"), str(ending_voice)) for line in lines[:2]]

    results = Worker(replace(worker_options, tokens_only=True), load).make(chunks())
    first = next(results)
    assert asked < 50
    ids = [first.line.id, *(result.line.id for result in results)]
    assert asked == 60 and len(set(ids)) == len(ids) == 120
    assert loaded == [str(ending_voice)]


def test_a_result_crosses_processes(lines: list[Line], worker_options: WorkerOptions, ending_voice: Path) -> None:
    [result] = Worker(worker_options).make([[LineJob(lines[0], str(ending_voice))]])
    copy = pickle.loads(pickle.dumps(result))
    assert result.sample is not None and copy.record == result.record
    np.testing.assert_array_equal(copy.sample.waveform, result.sample.waveform)
    np.testing.assert_array_equal(copy.sample.tokens, result.record["tokens"])


def test_words_are_timed_as_speaking_times_them(worker_options: WorkerOptions, ending_voice: Path) -> None:
    line = Line(1, "a", "Dr. Who paid $5. He left.", seed=3, speed=1.5)
    job = LineJob(line, str(ending_voice))
    [result] = Worker(replace(worker_options, words=True)).make([[job]])
    options = worker_options.lines[str(ending_voice)].decode
    speech = Voice.load(ending_voice).speak(line.text, options, seed=3, speed=1.5, words=True)
    assert result.record["words"] == [word.to_dict() for word in speech.words] != []
    assert [warning for warning in result.record["warnings"] if "attention does not show" in warning]
    [plain] = Worker(worker_options).make([[LineJob(line, str(ending_voice))]])
    assert "words" not in plain.record and plain.record["duration"] == result.record["duration"]


def test_rate_loudness_and_respellings(worker_options: WorkerOptions, ending_voice: Path) -> None:
    line = Line(1, "a", "He left the boat.", seed=3)
    wanted = Treatment(sample_rate=16_000, loudness=-23)
    options = replace(worker_options, treatment=wanted, respellings=Respellings((("boat", "beach"),)))
    [result] = Worker(options).make([[LineJob(line, str(ending_voice))]])
    plain = Line(1, "a", "He left the beach.", seed=3)
    [other] = Worker(worker_options).make([[LineJob(plain, str(ending_voice))]])
    assert result.sample is not None and other.sample is not None and other.sample.waveform is not None
    assert result.sample.sample_rate == 16_000
    np.testing.assert_array_equal(result.sample.waveform, wanted.whole(other.sample.waveform, 24_000))
    assert result.record["text"] == line.text and result.record["normalized_text"] == plain.text


def test_a_line_that_cannot_be_read_comes_back_with_its_fault(
    worker_options: WorkerOptions, ending_voice: Path
) -> None:
    [result] = Worker(worker_options).make([[LineJob(Line(1, "a", "..."), str(ending_voice), 3)]])
    assert result.sample is None and "can be read aloud" in str(result.fault)


def test_made_lines_are_forgotten(lines: list[Line], worker_options: WorkerOptions, ending_voice: Path) -> None:
    """When the last line is made, hardly any other still holds its tokens."""
    executor = InProcessExecutor(replace(worker_options, tokens_only=True), 4)
    results = executor.run(LineJob(line, str(ending_voice)) for line in lines)
    for _ in lines:
        next(results)
    assert sum(type(one) is UtteranceJob for one in gc.get_objects()) <= 4
    assert next(results, None) is None


def test_this_process_has_its_threads_back(
    lines: list[Line], worker_options: WorkerOptions, ending_voice: Path
) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        results = InProcessExecutor(worker_options, 4).run([LineJob(line, str(ending_voice)) for line in lines[:3]])
        next(results)
        assert torch.get_num_threads() == 1
        list(results)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("workers", "kind"), [(1, InProcessExecutor), (2, ProcessExecutor)])
def test_one_local_worker_needs_no_process(worker_options: WorkerOptions, workers: int, kind: type) -> None:
    assert isinstance(make_executor("local", worker_options, 4, workers), kind)
