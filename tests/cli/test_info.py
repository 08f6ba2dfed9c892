"""`spear-accel info` and the command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import spear_accel
from spear_accel.voice.folder import list_shipped


def test_shows_a_voice(run, shared_voice: Path) -> None:
    outcome = run("info", shared_voice)
    assert outcome.code == 0 and outcome.err == ""
    table = outcome.out.decode()
    for part in ("tiny", "CC0-1.0", "24000 Hz", "50 a second", "acoustic", "text_to_semantic", "whole"):
        assert part in table


def test_shows_and_refuses_a_damaged_voice(run, tiny_voice: Path) -> None:
    (tiny_voice / "tokenizer.model").write_bytes(b"0")
    outcome = run("info", tiny_voice)
    assert outcome.code == 2
    assert "damaged" in outcome.out.decode()
    assert "tokenizer.model: damaged or altered" in outcome.err


def test_lists_the_shipped_voices(run) -> None:
    assert run("info").out.decode().split() == list_shipped()
    assert "no such voice" in run("info", "nobody").error_line


def test_version_and_help(run) -> None:
    assert run("--version").out.decode().strip() == spear_accel.__version__
    text = run("--help").out.decode()
    for verb in ("speak", "tokenize", "train", "info"):
        assert verb in text
        assert run(verb, "--help").code == 0


def test_the_light_verbs_import_no_torch() -> None:
    """Start-up counts: torch is imported when something is computed, heavier packages when they are needed."""
    check = (
        "import sys, spear_accel; from spear_accel.cli.main import run; "
        "run(['info']); run(['speak', '--help']); assert 'torch' not in sys.modules; "
        "import spear_accel.voice.voice; "
        "heavy = {'fairseq2', 'accelerate', 'wandb', 'matplotlib', 'num2words', 'sklearn'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
