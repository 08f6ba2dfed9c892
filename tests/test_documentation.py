"""Examples of README.md and docs/: Python is run, every `spear-accel` line is read by the program's own parser, and
(slow tier) those that end soon are run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
import typer

import spear_accel
from spear_accel import Voice
from spear_accel.cli.main import app
from spear_accel.text import TextTokenizer, TokenizerConfig
from tests.importers.conftest import spear_table

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
RUN_ELSEWHERE = {
    "docs/acoustic-stage.md": "tests/acoustic/test_user_stage.py",
    "docs/add_a_drafter.md": "tests/decoding/test_user_drafter.py",
}
"""Pages that are a worked example, and the test that runs the whole of it."""


def blocks(page: str, language: str) -> list[str]:
    """Code of a page in one language, in its order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def lines(page: str) -> Iterator[str]:
    """Command lines of a page, those that go on in the next line joined."""
    for block in blocks(page, "sh"):
        yield from filter(None, block.replace("\\\n", " ").splitlines())


COMMANDS = [
    pytest.param(command.group(), id=f"{page}: {command.group()[:60]}")
    for page in PAGES
    for line in lines(page)
    for command in [re.search(r"\bspear-accel [^|#]+", line)]
    if command and "[--" not in line
]
"""A line with [--option] in it is a synopsis."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the examples name."""
    sentences = ["Hello there.", "It is a fine day."]
    (tmp_path / "chapter.txt").write_text(" ".join(sentences))
    (tmp_path / "lines.txt").write_text("\n".join(sentences))
    (tmp_path / "lines.csv").write_text("".join(f"line-{n}|{text}\n" for n, text in enumerate(sentences)))
    (tmp_path / "lines.jsonl").write_text('{"id": "one", "text": "Hello there."}\n')
    torch.save({"model": spear_table()}, tmp_path / "model.pt")
    TextTokenizer.train(["a bad cab"], TokenizerConfig(vocab_size=10, kind="char")).save(tmp_path / "tokenizer.model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RUN_ELSEWHERE and blocks(page, "python")])
def test_python_examples_run(page: str, folder: Path) -> None:
    """One after the other in one namespace; a page that goes on from the README has its voice."""
    played: list[Any] = []
    names: dict[str, Any] = {"__name__": "example", "play": played.append}
    if page != "README.md":
        names["voice"] = Voice.load("kathleen")
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)
    assert all(len(sound) > 0 for sound in played)
    assert played or "play(" not in "".join(blocks(page, "python"))


@pytest.mark.parametrize(("page", "test"), RUN_ELSEWHERE.items())
def test_worked_examples_have_a_test_of_their_own(page: str, test: str) -> None:
    assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


def verb(arguments: list[str]) -> Any:
    """The command that a line names; takes its name off the arguments."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and arguments and arguments[0] in command.commands:
        command = command.commands[arguments.pop(0)]
    return command


@pytest.mark.parametrize("line", COMMANDS)
def test_the_program_understands_its_examples(line: str, folder: Path) -> None:
    arguments = shlex.split(line)[1:]
    command = verb(arguments)
    assert not hasattr(command, "commands"), "no such verb"
    command.make_context("spear-accel", arguments).close()


def test_a_synopsis_names_options_that_there_are() -> None:
    for page in PAGES:
        for line in lines(page):
            if line.startswith("spear-accel") and "[--" in line:
                there = {name for parameter in verb(line.split()[1:]).params for name in parameter.opts}
                assert set(re.findall(r"--[\w-]+", line)) <= there, page


def test_scripts_that_the_pages_name_are_there() -> None:
    for page in [*PAGES, *(str(path.relative_to(ROOT)) for path in (ROOT / "recipes").glob("*/README.md"))]:
        for script in re.findall(r"\b(recipes/[\w/]+\.(?:py|sh))\b", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / script).is_file(), f"{page}: {script}"


SOON = [line for line in lines("README.md") if re.search(r"spear-accel (speak (?!--voice)|info|tokenize|synth)", line)]


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in SOON if "pip install" not in line])
def test_lines_of_the_readme_do_what_they_say(line: str, folder: Path) -> None:
    """With the program of this checkout, and a loudspeaker that takes what it gets."""
    speech = Voice.load("kathleen").speak("Hello there.")
    soundfile.write(folder / "recording.wav", speech.waveform.numpy(), speech.sample_rate)
    here = f'spear-accel() {{ "{sys.executable}" -m spear_accel "$@"; }}; aplay() {{ cat > played; }}; '
    environment = {**os.environ, "PYTHONPATH": str(Path(spear_accel.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    before = set(folder.rglob("*"))
    done = subprocess.run(["bash", "-c", f"set -eo pipefail; {here}{line}"], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout or set(folder.rglob("*")) - before, "nothing was said and nothing was made"
