"""The worked example of docs/acoustic-stage.md, run as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import torch

from spear_accel import Voice
from spear_accel.acoustic import AcousticStage, load_stage, stage_names
from spear_accel.errors import UserError
from spear_accel.voice import folder as voice_module

PAGE = (Path(__file__).parents[2] / "docs" / "acoustic-stage.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = [block for block in BLOCKS if block not in FILES.values()]
TEXT = "The fox jumps over the lazy dog. What did you say?"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package as pip would leave it: its files, and a dist-info folder with its entry points."""
    site = tmp_path / "site"
    for name, content in FILES.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content, encoding="utf-8")
    project = ConfigParser()
    project.read_string(FILES["pyproject.toml"])
    group = 'project.entry-points."spear_accel.acoustic"'
    offered = [f"{name} = {value.strip(chr(34))}" for name, value in project[group].items()]
    info = site / "my_stage-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-stage\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("\n".join(["[spear_accel.acoustic]", *offered, ""]))
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [name for name in sys.modules if name.split(".")[0] == "my_stage"]:
        del sys.modules[name]


@pytest.fixture
def said(
    installed: Path, shared_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:  # fmt: skip
    """What the scripts of the page leave behind, with the tiny voice under the name of the shipped one."""
    monkeypatch.setattr(voice_module, "shipped_voices", lambda: {"kathleen": shared_voice})
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for script in SCRIPTS:
        exec(compile(script, "docs/acoustic-stage.md", "exec"), names)
    return names


def test_the_page_has_what_is_tested_here() -> None:
    assert list(FILES) == ["pyproject.toml", "my_stage/__init__.py", "my_stage/whole.py"] and len(SCRIPTS) == 2


def test_the_stage_is_found_by_its_entry_point(installed: Path, said: dict[str, Any], tmp_path: Path) -> None:
    assert "plucks" in stage_names()
    stage = load_stage(tmp_path / "plucked" / "acoustic")
    assert isinstance(stage, AcousticStage) and type(stage) is type(said["strings"])
    assert torch.equal(stage.sounds, said["strings"].sounds)


def test_a_voice_speaks_and_streams_with_it(said: dict[str, Any], tmp_path: Path) -> None:
    voice = Voice.load(tmp_path / "plucked")
    voice_module.open_voice(tmp_path / "plucked").verify()
    whole = voice.speak(TEXT, seed=2, speed=1.25)
    assert torch.equal(torch.cat([piece.waveform for piece in voice.stream(TEXT, seed=2, speed=1.25)]), whole.waveform)
    assert whole.waveform.abs().max() > 0.1 and whole.sample_rate == 24_000
    assert torch.equal(said["voice"].speak(TEXT, seed=2, speed=1.25).waveform, whole.waveform)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 2.0])
@pytest.mark.parametrize("sizes", [[23], [1] * 23, [5, 0, 17, 1], [3, 20, 0]])
def test_pieces_joined_are_the_whole(said: dict[str, Any], sizes: list[int], speed: float) -> None:
    from my_stage.whole import WholePlucks  # type: ignore[import-not-found]

    strings = said["strings"]
    gathering = WholePlucks(strings.sounds, strings.sample_rate, strings.hop)
    tokens = torch.arange(23) * 7 % strings.num_tokens
    whole, counts = strings(tokens[None], torch.tensor([23]), speed)
    assert whole.shape == (1, 23 * round(480 / speed)) and counts.tolist() == [whole.shape[1]]
    for stage in (strings, gathering):
        assert torch.equal(torch.cat(list(stage.stream(tokens.split(sizes), speed))), whole[0])


def test_sound_comes_before_the_next_chunk_is_asked_for(said: dict[str, Any]) -> None:
    def endless() -> Iterator[torch.Tensor]:
        yield torch.arange(10)
        raise AssertionError("asked for more")

    assert len(next(said["strings"].stream(endless()))) == (10 - 3) * 480


def test_rows_are_independent(said: dict[str, Any]) -> None:
    tokens, lengths = torch.arange(16).view(2, 8), torch.tensor([8, 5])
    waveforms, counts = said["strings"](tokens, lengths)
    alone, _ = said["strings"](tokens[1:, :5], lengths[1:])
    assert torch.equal(waveforms[1, : int(counts[1])], alone[0]) and not waveforms[1, int(counts[1]) :].any()


def test_what_is_out_of_range_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"token ids must be 0\.\.19"):
        said["strings"](torch.tensor([[20]]), torch.tensor([1]))
    with pytest.raises(UserError, match="speed must be between"):
        said["strings"](torch.tensor([[1]]), torch.tensor([1]), 3.0)


def test_without_the_package_the_error_names_the_group(said: dict[str, Any], installed: Path, tmp_path: Path) -> None:
    (installed / "my_stage-0.1.dist-info" / "entry_points.txt").unlink()
    with pytest.raises(UserError, match=r"'plucks' is unknown; .* entry point group spear_accel\.acoustic"):
        Voice.load(tmp_path / "plucked")
