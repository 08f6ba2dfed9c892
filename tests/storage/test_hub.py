"""Uploads to the Hub, by a stand-in of its package: what is sent, and what is refused before and after."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from spear_accel import Voice
from spear_accel.errors import UserError
from spear_accel.storage.hub import check_upload, upload
from spear_accel.voice.folder import open_voice


class Hub:
    """Takes uploads, or fails."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.made: list[Any] = []
        self.sent: list[Any] = []

    def __call__(self) -> Hub:
        return self

    def create_repo(self, name: str, **how: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.made.append((name, how))

    def upload_folder(self, **what: Any) -> Any:
        self.sent.append(what)
        return types.SimpleNamespace(commit_url="https://hub.example/commit/1")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub()
    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(HfApi=found))
    monkeypatch.setattr("spear_accel.storage.hub.find_spec", lambda name: True)
    return found


def test_a_voice_is_uploaded_with_its_own_files_alone(hub: Hub, tiny_voice: Path) -> None:
    (tiny_voice / "notes.txt").write_text("not for others")
    assert Voice.load(tiny_voice).push_to_hub("owner/tiny", private=True) == "https://hub.example/commit/1"
    assert hub.made == [("owner/tiny", {"repo_type": "model", "private": True, "exist_ok": True})]
    [sent] = hub.sent
    assert sent["folder_path"] == str(tiny_voice) and sent["repo_type"] == "model"
    assert set(sent["allow_patterns"]) == {*open_voice(tiny_voice).card.files, "voice.json", "README.md"}


def test_a_damaged_voice_is_not_uploaded(hub: Hub, tiny_voice: Path) -> None:
    voice = Voice.load(tiny_voice)
    weights = tiny_voice / next(name for name in voice.card.files if name.endswith(".safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="damaged or altered"):
        voice.push_to_hub("owner/tiny")
    assert not hub.made


@pytest.mark.parametrize("name", ["tiny", "", "a/b/c", "owner/ti ny", "https://hub/owner/tiny"])
def test_what_is_no_repository_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="give OWNER/NAME"):
        check_upload(name)


def test_without_the_package_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spear_accel.storage.hub.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'spear-accel\[hub\]'"):
        check_upload("owner/tiny")


def test_a_refusal_of_the_hub_is_one_line(hub: Hub, tmp_path: Path) -> None:
    hub.fault = RuntimeError("401 Client Error\nRequest ID: 1")
    with pytest.raises(
        UserError, match=r"owner/tiny: cannot be uploaded \(401 Client Error\); check the name"
    ) as error:
        upload(tmp_path, "owner/tiny", "model", ["*"])
    assert "\n" not in str(error.value)


def test_a_saved_voice_is_the_voice(tiny_voice: Path, tmp_path: Path) -> None:
    Voice.load(tiny_voice).save_pretrained(tmp_path / "copy")
    opened, text = open_voice(tmp_path / "copy"), "A small boat."
    opened.verify()
    assert opened.card == open_voice(tiny_voice).card
    copied, original = (Voice.from_pretrained(folder).speak(text) for folder in (tmp_path / "copy", tiny_voice))
    assert copied.tokens.tolist() == original.tokens.tolist()
    with pytest.raises(UserError, match="holds a voice already"):
        Voice.load(tiny_voice).save_pretrained(tmp_path / "copy")
