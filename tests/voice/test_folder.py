"""Voice folders: what is read, what is checked, and what is said of a fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.voice import components
from spear_accel.voice.folder import VoiceCard, list_shipped, open_voice, seal


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "voice.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_a_sealed_voice_opens_and_is_whole(tiny_voice: Path) -> None:
    folder = open_voice(tiny_voice)
    folder.verify()
    assert folder.card.name == "tiny"
    assert sorted(folder.card.files) == [
        "acoustic/config.json", "acoustic/model.safetensors", "text_to_semantic/config.json",
        "text_to_semantic/model.safetensors", "tokenizer.model",
    ]  # fmt: skip


def test_the_model_card_may_be_edited(tiny_voice: Path) -> None:
    (tiny_voice / "README.md").write_text("a card")
    seal(tiny_voice, open_voice(tiny_voice).card)
    (tiny_voice / "README.md").write_text("a better card")
    open_voice(tiny_voice).verify()


@pytest.mark.parametrize("name", ["tokenizer.model", "acoustic/model.safetensors", "text_to_semantic/config.json"])
def test_an_altered_or_missing_file_is_named(tiny_voice: Path, name: str) -> None:
    path = tiny_voice / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"{name}: damaged or altered"):
        open_voice(tiny_voice).verify()
    path.unlink()
    with pytest.raises(UserError, match=rf"{name}: cannot read"):
        open_voice(tiny_voice).verify()


def test_only_what_is_used_is_checked(tiny_voice: Path) -> None:
    (tiny_voice / "speech_tokenizer").mkdir()
    weights = tiny_voice / "speech_tokenizer/encoder.safetensors"
    weights.write_bytes(b"whole")
    seal(tiny_voice, open_voice(tiny_voice).card)
    weights.write_bytes(b"damaged")
    folder = open_voice(tiny_voice)
    components.load_text_to_semantic(folder)
    assert components.load_acoustic(folder) is not None
    with pytest.raises(UserError, match=r"encoder\.safetensors: damaged"):
        components.load_speech_tokenizer(folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda card: card.update(format_version=2), "format_version is 2"),
        (lambda card: card.pop("format_version"), "format_version is None"),
        (lambda card: card.pop("licence"), "lacks licence"),
        (lambda card: card.update(colour="red"), "unknown colour"),
        (lambda card: card.update(sample_rate="high"), "wrong kind"),
        (lambda card: card.update(files={"../secret": "0"}), "wrong kind"),
    ],
)
def test_a_bad_card_is_named(tiny_voice: Path, change: Callable[[dict[str, Any]], object], fault: str) -> None:
    edit(tiny_voice, change)
    with pytest.raises(UserError, match=rf"voice\.json: .*{fault}"):
        open_voice(tiny_voice)


def test_an_unknown_voice_lists_the_shipped_ones(tmp_path: Path) -> None:
    names = ", ".join(list_shipped()) or "none"
    with pytest.raises(UserError, match=f"nobody: no such voice; shipped voices: {names};"):
        open_voice("nobody")
    with pytest.raises(UserError, match=r"voice\.json: cannot read"):
        open_voice(tmp_path)


def test_shipped_voices_are_whole() -> None:
    for name in list_shipped():
        open_voice(name).verify()


def test_a_saved_model_computes_the_same(shared_voice: Path, tmp_path: Path) -> None:
    model = components.load_text_to_semantic(open_voice(shared_voice))
    components.save_text_to_semantic(model, tmp_path)
    again = components.read_text_to_semantic(tmp_path)
    text, tokens = torch.tensor([[5, 6, 7]]), torch.tensor([[1, 2]])
    assert torch.equal(model(text, tokens), again(text, tokens))


def test_an_absent_part_is_said_to_be_absent(shared_voice: Path) -> None:
    folder = open_voice(shared_voice)
    assert not folder.has("speech_tokenizer")
    with pytest.raises(UserError, match="'tiny' has no speech_tokenizer"):
        folder.part("speech_tokenizer")


def test_rates_that_disagree_are_refused(tiny_voice: Path) -> None:
    edit(tiny_voice, lambda card: card.update(sample_rate=16_000))
    with pytest.raises(UserError, match="16000 Hz but the acoustic stage makes 24000 Hz"):
        components.load_acoustic(open_voice(tiny_voice))


def test_a_card_survives_sealing(tmp_path: Path) -> None:
    card = VoiceCard("älva", "en", "CC0-1.0", 25, 24_000, collapse_repeats=True, longest_utterance=99)
    seal(tmp_path, card)
    assert open_voice(tmp_path).card == card
