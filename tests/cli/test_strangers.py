"""What a stranger's shell does to a program: closed and full streams, odd options, an early Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from tests.cli.conftest import Run

PROGRAM = [sys.executable, "-c", "import sys; from spear_accel.cli.main import run; sys.exit(run())"]
ROOT = Path(__file__).parents[2]


def shell(command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A shell line in which PROGRAM stands for the program, and $1, $2 ... for the arguments."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    quoted = " ".join(f"'{part}'" for part in PROGRAM)
    line = command.replace("PROGRAM", quoted)
    return subprocess.run(
        ["sh", "-c", line, "sh", *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("verb", ["--help", "--version", "info kathleen", "speak --help"])
def test_a_full_output_is_one_line(verb: str) -> None:
    done = shell(f"PROGRAM {verb} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["spear-accel: error: standard output: cannot write (No space left on device)"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_sound_into_a_full_output_is_one_line(tiny_voice: Path) -> None:
    done = shell('PROGRAM speak --voice "$1" "A cold night." -o - > /dev/full', tiny_voice)
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if "error" in line]) == 1 and "Traceback" not in done.stderr


def test_without_standard_error_the_work_is_done(tiny_voice: Path, tmp_path: Path) -> None:
    done = shell('PROGRAM speak --voice "$1" "A cold night." -o "$2" 2>&-', tiny_voice, tmp_path / "night.wav")
    assert done.returncode == 0
    assert soundfile.info(tmp_path / "night.wav").frames > 0


def test_without_standard_output_sound_needs_a_file(tiny_voice: Path, tmp_path: Path) -> None:
    done = shell('PROGRAM speak --voice "$1" "A cold night." >&-', tiny_voice)
    assert (done.returncode, done.stderr.splitlines()) == (
        2, ["spear-accel: error: standard output is closed; name a file with -o FILE"],
    )  # fmt: skip
    assert (
        shell('PROGRAM speak --voice "$1" "A cold night." -o "$2" >&-', tiny_voice, tmp_path / "a.wav").returncode == 0
    )


def test_the_name_alone_shows_the_help(run: Run) -> None:
    alone = run()
    assert alone.code == 0 and alone.out == run("--help").out and not alone.err


@pytest.mark.parametrize("speed", ["0", "nan", "-1", "2.5", "inf"])
def test_a_tempo_out_of_range_is_refused_before_anything_is_loaded(run: Run, speed: str) -> None:
    line = run("speak", "--voice", "nobody", "Hello.", f"--speed={speed}").error_line
    assert "speed must be between 0.5 and 2" in line


def test_a_text_that_looks_like_an_option_gets_the_hint(run: Run, tiny_voice: Path, tmp_path: Path) -> None:
    assert "-- '-5 ...'" in run("speak", "-5 degrees outside").error_line
    spoken = run("speak", "--voice", tiny_voice, "-o", tmp_path / "cold.wav", "--", "-5 degrees outside")
    assert spoken.code == 0


def test_two_outputs_need_two_names(run: Run, tmp_path: Path) -> None:
    assert (
        "name a file of its own" in run("speak", "Hi", "-o", tmp_path / "x", "--tokens-out", tmp_path / "x").error_line
    )
    assert "name a file of its own" in run("speak", "Hi", "-o", "").error_line


def test_the_package_runs_as_a_module() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "spear_accel"]
    shown = subprocess.run([*command, "info"], capture_output=True, text=True, env=environment, check=False)
    assert shown.returncode == 0 and "kathleen" in shown.stdout.splitlines()
    refused = subprocess.run([*command, "nope"], capture_output=True, text=True, env=environment, check=False)
    assert refused.returncode == 2 and refused.stderr.startswith("spear-accel: error: ")


def test_ctrl_c_ends_with_one_line_and_130(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of any verb; a job that can go on says so."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spear_accel.cli.inputs.load_voice", interrupt)
    spoken = run("speak", "Hello.", "-o", tmp_path / "a.wav")
    assert (spoken.code, spoken.err.splitlines()) == (130, ["spear-accel: interrupted"])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("spear_accel.training.speech_tokenizer.train", interrupt)
    (tmp_path / "settings.yaml").write_text("output: run")
    trained = run("train", "speech-tokenizer", tmp_path / "settings.yaml")
    assert trained.code == 130
    assert trained.err.splitlines() == ["spear-accel: interrupted; the same command goes on where it was"]


@pytest.mark.slow
def test_ctrl_c_from_a_terminal_ends_with_one_line(tiny_voice: Path, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("A cold night.\n" * 2000)
    command = [*PROGRAM, "synth", tmp_path / "lines.txt", "--voice", tiny_voice, "-o", tmp_path / "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )  # fmt: skip
    while not (tmp_path / "out").exists() and running.poll() is None:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    _, error = running.communicate(timeout=120)
    assert running.returncode == 130
    assert error.splitlines()[-1] == "spear-accel: interrupted; the same command goes on where it was"
    assert "Traceback" not in error


@pytest.mark.parametrize("device", ["meta", "cud", "cuda:99", "cpu:x", "", "xla", "privateuseone"])
def test_a_device_that_cannot_compute_is_one_line(run: Run, tiny_voice: Path, tmp_path: Path, device: str) -> None:
    line = run("speak", "--voice", tiny_voice, "--device", device, "A boat.", "-o", tmp_path / "a.wav").error_line
    assert f"--device {device}" in line and not list(tmp_path.glob("a.wav"))


@pytest.mark.parametrize("voice", ["", "  "])
def test_an_empty_name_of_a_voice_is_one_line(run: Run, voice: str) -> None:
    assert "the name of the voice is empty" in run("speak", "--voice", voice, "A boat.").error_line


def test_an_input_that_is_not_there_is_told_so_whatever_its_ending(run: Run, tmp_path: Path) -> None:
    for name in ("none", "none.txt", "none.xyz"):
        assert "no such file" in run("synth", tmp_path / name, "-o", tmp_path / "o").error_line.lower()
    assert not (tmp_path / "o").exists()
