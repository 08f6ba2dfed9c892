"""The recipe for a voice of one's own: its settings and data, and (slow tier) the whole of it, killed at every step."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from spear_accel import Voice
from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.loop.settings import read_settings
from spear_accel.voice.folder import open_voice
from tests.extras import need_fairseq2
from tests.recipes.conftest import RECIPES, script, speak_tones

RECIPE = RECIPES / "own_voice"
FIGURES = {
    "GAIN_DB": 1.5, "SEMANTIC_TOKENS": 32, "FRAME_RATE": 50, "TEXT_VOCABULARY": 38, "TEXT_EOS": 37,
    "TOKENS_PER_ID": 3.1, "TOKENS_PER_CHARACTER": 3.2, "LONGEST_UTTERANCE": 90, "SHORT_TOKENS": 200,
}  # fmt: skip


@pytest.fixture
def recipe(corpus: Path, tmp_path: Path) -> Any:
    (tmp_path / "work").mkdir()
    return script("recipe").Recipe(corpus, tmp_path / "work", tmp_path / "voices", smoke=True)


def test_every_run_that_the_settings_name_has_settings_that_are_filled_in(recipe: Any) -> None:
    recipe.note(**FIGURES)
    runs = [name for names in recipe.settings["train"].values() for name in names]
    assert len(runs) == 10
    for name in runs:
        path = recipe.run_file(name)
        assert "$" not in path.read_text()
        values = read_settings(path, ("loop", "output"))
        assert values["loop"]["steps"] == 3
        assert str(recipe.work) in values["output"]
    assert yaml.safe_load(recipe.run_file("mel_decoder").read_text())["model"]["units"] == 32


def test_a_smoke_run_changes_only_what_is_there(recipe: Any) -> None:
    small = yaml.safe_load((RECIPE / "smoke.yaml").read_text())
    runs = [name for names in recipe.settings["train"].values() for name in names]
    assert {*small} <= {"settings", "every_run", *runs}
    for name in {*small} - {"every_run"}:
        assert_there(small[name], yaml.safe_load((RECIPE / f"{name}.yaml").read_text()), name)


def assert_there(changes: dict[str, Any], values: dict[str, Any], place: str) -> None:
    """Sections must be there; training itself refuses a setting that it does not know."""
    for key, change in changes.items():
        assert key in values or not isinstance(change, dict), f"{place}.{key}"
        if isinstance(change, dict):
            assert_there(change, values[key], f"{place}.{key}")


def test_a_name_that_nobody_has_set_is_told(recipe: Any) -> None:
    with pytest.raises(UserError, match=r"mel_decoder\.yaml: '\$GAIN_DB' asks for a name that is not set"):
        recipe.run_file("mel_decoder")


def test_a_configuration_replaces_files_and_inherits_the_rest(recipe: Any, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "letter_times.yaml").write_text("output: $WORK/mine\nextra: [$SENTENCES, $TEXT_EOS]\n")
    other = script("recipe").Recipe(
        recipe.corpus, recipe.work, recipe.output, tmp_path / "config", {"sentences": Path("/s")}, name="me"
    )
    other.note(**FIGURES)
    assert yaml.safe_load(other.run_file("letter_times").read_text()) == {
        "output": str(recipe.work / "mine"), "extra": ["/s", 37],
    }  # fmt: skip
    assert read_settings(other.run_file("vocoder"), ("loop",))["loop"]["steps"] == 3000
    assert other.settings["voice"]["name"] == "me" and other.voice == recipe.output / "me"


def test_finished_steps_are_passed_over(recipe: Any) -> None:
    module, done = script("recipe"), []

    def step(name: str, fails: bool = False) -> Any:
        def work(_: Any) -> None:
            if fails:
                raise KeyboardInterrupt
            done.append(name)

        return module.Step(name, name, work)

    with pytest.raises(KeyboardInterrupt):
        module.run_steps(recipe, [step("a"), step("b"), step("c", fails=True)])
    module.run_steps(recipe, [step("a"), step("b"), step("c")])
    module.run_steps(recipe, [step("a"), step("b"), step("c")], only="a")
    module.run_steps(recipe, [step("a"), step("b"), step("c")], first="b")
    assert done == ["a", "b", "c", "a", "b", "c"]


def test_recordings_that_cannot_be_used_are_named_and_left_out(recipe: Any, corpus: Path) -> None:
    recordings = script("recordings")
    wavs = corpus / "wavs"
    (wavs / "prompt_00000_0.wav").write_bytes(b"not audio")
    speak_tones("a", wavs / "prompt_00000_1.wav")
    (wavs / "stray.wav").write_bytes(b"")
    recordings.data(recipe)
    left_out = (recipe.work / "left_out.txt").read_text().splitlines()
    assert len(left_out) == 3
    for fault in ("prompt_00000_0.wav: not an audio file", "prompt_00000_1.wav: lasts 0.20 s", "stray.wav: no line"):
        assert sum(fault in line for line in left_out) == 1
    parts = {
        part: read_manifest(recipe.manifest(part), ("id", "audio", "text")) for part in ("train", "validation", "test")
    }
    assert [len(records) for records in parts.values()] == [10, 2, 2]
    assert all(Path(record["audio"]).is_file() for records in parts.values() for record in records)
    assert len(script("recordings").scan_corpus(recipe.clean_corpus).entries) == 14
    before = (recipe.work / "split.json").read_bytes()
    recordings.data(recipe)
    assert (recipe.work / "split.json").read_bytes() == before


def test_a_working_folder_of_another_job_is_refused(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_voice = script("own_voice")
    command = [
        "--corpus",
        str(corpus),
        "--work",
        str(tmp_path / "w"),
        "--output",
        str(tmp_path / "v"),
        "--only",
        "data",
    ]
    assert own_voice.main([*command, "--smoke"]) == 0
    assert own_voice.main(command) == 2
    assert "another smoke; name another --work" in capsys.readouterr().err
    assert own_voice.main([*command[:1], str(tmp_path / "none"), *command[2:3], str(tmp_path / "x"), *command[4:]]) == 2
    assert "metadata.csv: no such file" in capsys.readouterr().err


def test_a_base_lends_its_tokenizer_and_its_sound(corpus: Path, tmp_path: Path) -> None:
    command = ["--corpus", str(corpus), "--work", str(tmp_path / "w"), "--output", str(tmp_path / "v"), "--smoke"]
    assert script("own_voice").main([*command, "--base", "kathleen", "--only", "data"]) == 0
    for part in ("speech_tokenizer", "acoustic"):
        held = {path.name: path.read_bytes() for path in (tmp_path / "w" / part).iterdir()}
        assert held == {path.name: path.read_bytes() for path in open_voice("kathleen").part(part).iterdir()}


def start(corpus: Path, folder: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable, str(RECIPE / "own_voice.py"), "--corpus", str(corpus), "--work", str(folder / "work"),
        "--output", str(folder / "voices"), "--smoke", "--name", "mine",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(RECIPES.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def weights(voice: Path) -> dict[str, str]:
    """What training made; figures of the machine's speed differ from run to run."""
    files = (path for path in voice.rglob("*.safetensors"))
    return {str(path.relative_to(voice)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_killed_at_every_step_it_makes_the_same_voice(corpus: Path, tmp_path: Path) -> None:
    need_fairseq2()
    whole = start(corpus, tmp_path / "whole")
    assert whole.wait() == 0, whole.stderr and whole.stderr.read()
    names = [step.name for step in script("steps").steps()]
    for number, name in enumerate(names):
        process = start(corpus, tmp_path / "killed")
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"== {name}:"):
                break
        time.sleep(0.4 * (number % 4))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = start(corpus, tmp_path / "killed")
    assert last.wait() == 0, last.stderr and last.stderr.read()
    voice = tmp_path / "killed" / "voices" / "mine"
    open_voice(voice).verify()
    assert weights(voice) == weights(tmp_path / "whole" / "voices" / "mine")
    assert Voice.load(voice).speak("abc fed").waveform.abs().max() > 0
