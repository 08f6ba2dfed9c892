"""Layouts by name, by content and by entry point."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from spear_accel import Voice, importers
from spear_accel.errors import UserError
from spear_accel.importers import Importer, ImportOptions, registry
from tests.importers.conftest import spear_table
from tests.importers.test_whisperspeech import package

IDS = ImportOptions(text_tokenizer="ids")


def test_a_checkpoint_is_loaded_and_saved_as_a_voice(checkpoint: Path, tmp_path: Path) -> None:
    imported = importers.load(checkpoint, "spear-tts-pytorch", IDS)
    assert (imported.exit_layer, imported.card.frame_rate) == (1, 50.0)
    importers.save_voice(imported, tmp_path / "mine")
    voice = Voice.load(tmp_path / "mine")
    assert (voice.card.name, voice.card.sample_rate) == ("mine", None)
    assert "early-exit" in voice.methods


@pytest.mark.parametrize(("content", "rate"), [(spear_table, 50.0), (package, 25.0)])
def test_the_layout_is_found_from_the_content(tmp_path: Path, content: Callable[[], object], rate: float) -> None:
    torch.save(content(), tmp_path / "m.pt")
    options = IDS if content is spear_table else ImportOptions()
    assert importers.load(tmp_path / "m.pt", options=options).card.frame_rate == rate


def test_content_of_no_layout_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "m.pt")
    with pytest.raises(
        UserError, match=r"m\.pt: of no layout that this release knows \(hugging-face, spear-tts-pytorch, whisper"
    ):
        importers.load(tmp_path / "m.pt")
    (tmp_path / "m.pt").write_text("hello")
    with pytest.raises(UserError, match="a text file"):
        importers.load(tmp_path / "m.pt")
    with pytest.raises(UserError, match="no such file"):
        importers.load(tmp_path / "n.pt")


def test_an_unknown_layout_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="other: no such layout; choose one of hugging-face, spear-tts-pytorch, whisp"):
        importers.load(checkpoint, "other")


def test_an_option_that_the_layout_does_not_use_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--cps: the layout spear-tts-pytorch does not use it"):
        importers.load(checkpoint, "spear-tts-pytorch", ImportOptions(text_tokenizer="ids", cps=3.0))
    torch.save(package(), tmp_path / "w.pt")
    with pytest.raises(UserError, match="--early-exit-layer: the layout whisperspeech does not use it"):
        importers.load(tmp_path / "w.pt", "whisperspeech", ImportOptions(early_exit_layer=1))
    with pytest.raises(UserError, match="--frame-rate -1"):
        ImportOptions(frame_rate=-1.0)


def test_an_installed_package_adds_a_layout(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file with an `Importer`, and an entry point."""
    table = tmp_path / "table.pt"
    torch.save(spear_table(), table)

    def load(path: Path, options: ImportOptions) -> importers.Imported:
        return importers.load(table, "spear-tts-pytorch", options)

    ours = Importer("folder", "a folder", Path.is_dir, load, frozenset({"text_tokenizer"}))
    monkeypatch.setitem(sys.modules, "their_package", types.SimpleNamespace(IMPORTER=ours, wrong=3))
    entries = {
        name: EntryPoint(name, f"their_package:{attribute}", registry.GROUP)
        for name, attribute in (("folder", "IMPORTER"), ("wrong", "wrong"))
    }

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [entry for entry in entries.values() if name in (None, entry.name)]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    assert importers.layouts() == ["folder", "hugging-face", "spear-tts-pytorch", "whisperspeech", "wrong"]
    assert importers.load(tmp_path, "folder", IDS).exit_layer == 1
    with pytest.raises(UserError, match="importer 'wrong': their_package:wrong is no Importer"):
        importers.load(tmp_path, "wrong", IDS)
    del entries["wrong"]
    assert importers.load(tmp_path, options=IDS).exit_layer == 1
    assert importers.find_importer("folder") is ours
