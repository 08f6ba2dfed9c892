"""The same job on Ray: the same bytes, one actor killed among them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spear_accel import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.synth import Line, SynthOptions, synthesise
from tests.synth.conftest import contents


@pytest.fixture
def options(ending_voice: Path) -> SynthOptions:
    return SynthOptions(voice=str(ending_voice), decode=DecodeOptions(temperature=1.0), batch_size=2, retries=1)


@pytest.fixture
def cluster() -> Iterator[None]:
    """Two places for actors, whatever this machine has."""
    ray = pytest.importorskip("ray", reason="Ray (extra 'ray') is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def actors() -> list[int]:
    """Process ids of the pool's actors, which Ray names in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def kill_one_actor(killed: list[int]) -> None:
    """SIGKILL to an actor, once two of them have begun."""

    def wait_and_kill() -> None:
        while not killed:
            time.sleep(0.2)
            if len(pids := actors()) >= 2:
                time.sleep(1.0)
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])

    threading.Thread(target=wait_and_kill, daemon=True).start()


@pytest.mark.slow
def test_two_actors_one_of_them_killed_make_the_bytes_of_one_process(
    cluster: None, lines: list[Line], options: SynthOptions, tmp_path: Path
) -> None:
    many = [replace(line, id=f"{line.id}-{n}", number=n * 100 + line.number) for n in range(30) for line in lines]
    synthesise(many, [], tmp_path / "here", options)
    killed: list[int] = []
    kill_one_actor(killed)
    summary = synthesise(many, [], tmp_path / "ray", replace(options, engine="ray", workers=2))
    assert killed and summary.complete
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")


def test_without_ray_one_line_says_what_to_install(
    lines: list[Line], options: SynthOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(UserError, match=r"spear-accel\[ray\]"):
        synthesise(lines, [], tmp_path / "out", replace(options, engine="ray"))
    assert not (tmp_path / "out").exists()
