"""Voices that other packages bring."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spear_accel import Voice
from spear_accel.errors import UserError
from spear_accel.voice import folder as voice_module
from spear_accel.voice.entry_points import plugged_names
from spear_accel.voice.folder import open_voice

Install = Callable[..., Path]


@pytest.fixture
def install(shared_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install("name", code="")`: a package with the tiny voice in it, as pip would leave it; returns its folder."""
    site = tmp_path / "site"

    def start(name: str, code: str = "", value: str = "other_voice") -> Path:
        package = Path(shutil.copytree(shared_voice, site / "other_voice"))
        (package / "__init__.py").write_text(code)
        info = site / "other_voice-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-voice\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[spear_accel.voices]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(site)
        return package

    yield start
    sys.modules.pop("other_voice", None)


def test_a_plugged_voice_is_loaded_by_name(install: Install) -> None:
    package = install("other")
    assert plugged_names() == ["other"] and "other_voice" not in sys.modules
    folder = open_voice("other")
    assert folder.path == package and folder.card.name == "tiny"
    folder.verify()
    assert Voice.load("other").text_to_semantic(["Hello."]).tokens


def test_a_shipped_name_wins(install: Install, tiny_voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("kathleen", code="raise AssertionError('imported')")
    monkeypatch.setattr(voice_module, "shipped_voices", lambda: {"kathleen": tiny_voice})
    assert open_voice("kathleen").path == tiny_voice


@pytest.mark.parametrize(
    ("code", "reason"),
    [("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"), ("raise ValueError", "ValueError")],
)
def test_a_package_that_cannot_be_imported_is_named(install: Install, code: str, reason: str) -> None:
    install("other", code=code)
    with pytest.raises(UserError, match=rf"'other': .* cannot be imported \(other_voice: {reason}\); fix") as caught:
        open_voice("other")
    assert "\n" not in str(caught.value)


def test_what_is_no_package_is_named(install: Install) -> None:
    install("other", code="voice = 3", value="other_voice:voice")
    with pytest.raises(UserError, match=r"'other': the entry point other_voice:voice is no package with a folder"):
        open_voice("other")


def test_a_package_without_a_voice_is_named(install: Install) -> None:
    (install("other") / "voice.json").unlink()
    with pytest.raises(UserError, match=r"other_voice/voice\.json: cannot read"):
        open_voice("other")


def test_an_unknown_voice_lists_plugged_ones_too(install: Install) -> None:
    install("other")
    with pytest.raises(
        UserError, match=r"nobody: no such voice; shipped voices: .*; of other packages: other; or give"
    ):
        open_voice("nobody")
