"""Workers: the bytes of one, whatever their number, and whoever of them dies."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from spear_accel import DecodeOptions, Voice
from spear_accel.errors import UserError
from spear_accel.synth import Line, SynthOptions, synthesise
from spear_accel.synth.ahead import ahead
from spear_accel.synth.making import MakeOptions, Maker, Task
from spear_accel.synth.speaking import SpeakOptions, Wanted
from spear_accel.synth.tasks import large_tasks, small_tasks
from spear_accel.synth.workers import by_processes
from tests.synth.conftest import contents


@pytest.fixture
def options(ending_voice: Path) -> SynthOptions:
    return SynthOptions(voice=str(ending_voice), decode=DecodeOptions(temperature=1.0), batch_size=4, retries=1)


@pytest.fixture
def make(ending_voice: Path) -> MakeOptions:
    speak = SpeakOptions(DecodeOptions(temperature=1.0, batch_size=4), retries=1)
    return MakeOptions({str(ending_voice): speak})


def kill_one_soon(killed: list[int]) -> None:
    """SIGKILL to the first child that appears, once it has had time to begin."""

    def wait_and_kill() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.05)
        time.sleep(4.0)
        if children[0].pid is not None and children[0].is_alive():
            os.kill(children[0].pid, signal.SIGKILL)
            killed.append(children[0].pid)

    threading.Thread(target=wait_and_kill, daemon=True).start()


def test_two_workers_make_the_bytes_of_one(lines: list[Line], options: SynthOptions, tmp_path: Path) -> None:
    synthesise(lines, [], tmp_path / "one", options)
    synthesise(lines, [], tmp_path / "two", replace(options, workers=2))
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_voices_may_differ_from_line_to_line(
    lines: list[Line], options: SynthOptions, ending_voice: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(ending_voice, other)
    mixed = [replace(line, voice=str(other)) if line.number % 3 == 0 else line for line in lines]
    synthesise(mixed, [], tmp_path / "one", options)
    synthesise(mixed, [], tmp_path / "two", replace(options, workers=2))
    synthesise(lines, [], tmp_path / "plain", options)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    # The other voice is a copy, so only its name could differ, which is that of its card.
    assert contents(tmp_path / "one") == contents(tmp_path / "plain")


def test_tasks_are_asked_for_as_rows_fall_empty(lines: list[Line], make: MakeOptions, ending_voice: Path) -> None:
    """Never more than what is decoded and what waits for its sound; and a voice is loaded once, whatever its turns."""
    loaded: list[str] = []
    asked = 0

    def load(name: str) -> Voice:
        loaded.append(name)
        return Voice.load(name)

    def tasks() -> Iterator[Task]:
        nonlocal asked
        for number in range(100):
            asked += 1
            wanted = [Wanted(replace(line, id=f"{number}-{line.id}")) for line in lines[:2]]
            yield Task(str(ending_voice), tuple(wanted))

    made = Maker(make, load).make(tasks())
    first = next(made)
    assert asked < 50
    ids = [first.line.id, *(outcome.line.id for outcome in made)]
    assert asked == 100 and len(set(ids)) == len(ids) == 200
    assert loaded == [str(ending_voice)]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(lines: list[Line], options: SynthOptions, tmp_path: Path) -> None:
    many = [replace(line, id=f"{line.id}-{n}", number=n * 100 + line.number) for n in range(60) for line in lines]
    synthesise(many, [], tmp_path / "one", options)
    killed: list[int] = []
    kill_one_soon(killed)
    synthesise(many, [], tmp_path / "two", replace(options, workers=2))
    assert killed
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_what_a_worker_cannot_do_is_told(lines: list[Line], make: MakeOptions, tmp_path: Path) -> None:
    task = Task(str(tmp_path / "no-voice"), tuple(map(Wanted, lines[:2])))
    with pytest.raises(UserError, match="no-voice"):
        list(by_processes([task], make, 1))
    assert not multiprocessing.active_children()


def test_workers_that_keep_dying_are_given_up(lines: list[Line], make: MakeOptions, ending_voice: Path) -> None:
    task = Task(str(ending_voice), tuple(map(Wanted, lines[:2])))
    stop = threading.Event()

    def kill_all() -> None:
        while not stop.wait(0.05):
            for child in multiprocessing.active_children():
                child.kill()

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(UserError, match="one after the other"):
            list(by_processes([task], make, 1))
    finally:
        stop.set()
        killer.join()


@pytest.mark.parametrize("workers", [1, 2, 3, 40])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_every_line_is_in_one_task(lines: list[Line], batch_size: int, workers: int) -> None:
    wanted = [Wanted(line, 2 if line.id == "line-03" else 0) for line in lines]
    for cut in (small_tasks, large_tasks):
        tasks = list(cut("voice", wanted, batch_size, workers))
        assert sorted(_ids(tasks)) == sorted(line.id for line in lines)
        assert [one.line.id for task in tasks for one in task.wanted if one.tried == 2] == ["line-03"]
        assert all(task.voice == "voice" for task in tasks)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_large_tasks_take_alike_long(lines: list[Line], workers: int) -> None:
    tasks = list(large_tasks("voice", [Wanted(line) for line in lines], 1, workers))[:workers]
    lengths = [sum(len(one.line.text) for one in task.wanted) for task in tasks]
    assert max(lengths) < 1.3 * min(lengths)


def test_small_tasks_end_with_the_shortest(lines: list[Line]) -> None:
    tasks = list(small_tasks("voice", [Wanted(line) for line in lines], 16, 2))
    assert max(len(task.wanted) for task in tasks) == 4
    lengths = [len(one.line.text) for task in tasks for one in task.wanted]
    assert lengths == sorted(lengths, reverse=True)


def test_ahead_stays_within_its_bound() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            yield number

    thread = ThreadPoolExecutor(1)
    waiting = ahead(items(), 3, thread)
    assert [next(waiting) for _ in range(10)] == list(range(10))
    time.sleep(0.1)
    assert len(begun) <= 10 + 3 + 2
    waiting.close()
    assert thread.submit(len, begun).result(timeout=5) < 20


def test_ahead_brings_faults_to_the_front() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise UserError("is full")

    waiting = ahead(items(), 2, ThreadPoolExecutor(1))
    assert next(waiting) == 1
    with pytest.raises(UserError, match="is full"):
        next(waiting)


def _ids(tasks: Sequence[Task]) -> list[str]:
    return [one.line.id for task in tasks for one in task.wanted]
