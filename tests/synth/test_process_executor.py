"""Workers: the bytes of one, whatever their number, and whoever of them dies."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from spear_accel import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.synth import Line, SynthOptions, synthesise
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.process_executor import ProcessExecutor
from spear_accel.synth.worker import WorkerOptions
from tests.synth.conftest import contents


@pytest.fixture
def options(ending_voice: Path) -> SynthOptions:
    return SynthOptions(voice=str(ending_voice), decode=DecodeOptions(temperature=1.0), batch_size=4, retries=1)


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


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(lines: list[Line], options: SynthOptions, tmp_path: Path) -> None:
    many = [replace(line, id=f"{line.id}-{n}", number=n * 100 + line.number) for n in range(60) for line in lines]
    synthesise(many, [], tmp_path / "one", options)
    killed: list[int] = []
    kill_one_soon(killed)
    synthesise(many, [], tmp_path / "two", replace(options, workers=2))
    assert killed
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_what_a_worker_cannot_do_is_reported(lines: list[Line], worker_options: WorkerOptions, tmp_path: Path) -> None:
    jobs = [LineJob(line, str(tmp_path / "no-voice")) for line in lines[:2]]
    with pytest.raises(UserError, match="no-voice"):
        list(ProcessExecutor(worker_options, 4, 1).run(jobs))
    assert not multiprocessing.active_children()


def test_workers_that_keep_dying_are_given_up(
    lines: list[Line], worker_options: WorkerOptions, ending_voice: Path
) -> None:
    jobs = [LineJob(line, str(ending_voice)) for line in lines[:2]]
    stop = threading.Event()

    def kill_all() -> None:
        while not stop.wait(0.05):
            for child in multiprocessing.active_children():
                child.kill()

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(UserError, match="one after the other"):
            list(ProcessExecutor(worker_options, 4, 1).run(jobs))
    finally:
        stop.set()
        killer.join()
