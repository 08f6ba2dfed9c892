"""Voice folders that were tampered with and sealed anew, and callers with defaults of their own."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.errors import UserError
from spear_accel.storage.weights import read_tensors, write_tensors
from spear_accel.voice.folder import open_voice, seal

OPTIONS = DecodeOptions(max_tokens=12)


def tamper(folder: Path, file: str, path: tuple[str, ...], value: Any) -> None:
    """Another value in a JSON file, and a new seal."""
    values = json.loads((folder / file).read_text())
    place = values
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    (folder / file).write_text(json.dumps(values))
    seal(folder, open_voice(folder).card)


@pytest.mark.parametrize("value", [10**9, 10**6, 0, -1, 1.5, "wide", None, [1], 10**30])
@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("text_to_semantic/config.json", ("dim",)),
        ("text_to_semantic/config.json", ("decoder_layers",)),
        ("text_to_semantic/config.json", ("text_vocab_size",)),
        ("text_to_semantic/config.json", ("max_positions",)),
        ("acoustic/config.json", ("mel_decoder", "width")),
        ("acoustic/config.json", ("mel_decoder", "token_blocks")),
        ("acoustic/config.json", ("vocoder", "blocks")),
        ("acoustic/config.json", ("mel", "n_fft")),
    ],
)
def test_absurd_sizes_are_one_line_and_take_no_memory(
    tiny_voice: Path, file: str, path: tuple[str, ...], value: Any
) -> None:
    tamper(tiny_voice, file, path, value)
    with pytest.raises(UserError, match="config") as caught:
        Voice.load(tiny_voice)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2_000


@pytest.mark.parametrize(
    ("field", "value"), [("dropout", 3), ("pitch_lowest_hz", 1e-9), ("mel_mean", float("nan")), ("mel_mean", 10**40)]
)
def test_values_that_nothing_can_be_built_with(tiny_voice: Path, field: str, value: float) -> None:
    tamper(tiny_voice, "acoustic/config.json", ("mel_decoder", field), value)
    with pytest.raises(UserError, match="acoustic"):
        Voice.load(tiny_voice)


@pytest.mark.parametrize("part", ["text_to_semantic", "acoustic"])
def test_weights_that_are_no_numbers_are_named(tiny_voice: Path, part: str) -> None:
    path = tiny_voice / part / "model.safetensors"
    tensors = read_tensors(path)
    name = next(name for name, value in tensors.items() if value.is_floating_point())
    tensors[name].fill_(torch.nan)
    write_tensors(path, tensors, half=True)
    seal(tiny_voice, open_voice(tiny_voice).card)
    with pytest.raises(UserError, match=rf"{part}.*not finite in {name.split('.')[0]}"):
        Voice.load(tiny_voice)


def test_an_empty_tokenizer_is_named(tiny_voice: Path) -> None:
    (tiny_voice / "tokenizer.model").write_bytes(b"")
    seal(tiny_voice, open_voice(tiny_voice).card)
    with pytest.raises(UserError, match=r"tokenizer\.model: the text tokenizer is empty"):
        Voice.load(tiny_voice)


@pytest.mark.parametrize(
    ("field", "value"),
    [("longest_utterance", 0.1), ("longest_utterance", 3), ("sample_rate", 0.5), ("frame_rate", float("inf"))],
)
def test_a_card_with_an_impossible_value_is_refused(tiny_voice: Path, field: str, value: float) -> None:
    card = open_voice(tiny_voice).card
    seal(tiny_voice, replace(card, **{field: value}))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"voice\.json: holds a value of the wrong kind"):
        Voice.load(tiny_voice)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("file", ["voice.json", "tokenizer.model", "text_to_semantic/config.json"])
def test_a_fifo_in_a_voice_folder_hangs_nobody(tiny_voice: Path, file: str) -> None:
    (tiny_voice / file).unlink()
    os.mkfifo(tiny_voice / file)
    with pytest.raises(UserError, match="is no plain file"):
        Voice.load(tiny_voice)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_callers_default_precision_changes_nothing(shared_voice: Path, dtype: torch.dtype) -> None:
    expected = Voice.load(shared_voice).speak("A cold night.", OPTIONS)
    torch.set_default_dtype(dtype)
    try:
        voice = Voice.load(shared_voice)
        spoken, streamed = voice.speak("A cold night.", OPTIONS), list(voice.stream("A cold night.", OPTIONS))
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(spoken.waveform, expected.waveform)
    assert torch.equal(torch.cat([piece.tokens for piece in streamed]), expected.tokens)


def test_the_callers_default_device_changes_nothing(shared_voice: Path) -> None:
    expected = Voice.load(shared_voice).speak("A cold night.", OPTIONS)
    with torch.device("meta"):
        voice = Voice.load(shared_voice)
        spoken = voice.speak("A cold night.", OPTIONS)
        pieces = [piece.waveform.device.type for piece in voice.stream("A cold night.", OPTIONS)]
        assert torch.zeros(1).is_meta
    assert torch.equal(spoken.waveform, expected.waveform) and set(pieces) == {"cpu"}


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps", "nowhere"])
def test_a_device_that_is_not_here_is_one_line(
    shared_voice: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=f"--device {device}"):
        Voice.load(shared_voice, device=device)
