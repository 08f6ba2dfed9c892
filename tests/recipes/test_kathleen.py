"""The recipe of the shipped voice: its steps alone, and (slow tier) the whole of it on a toy corpus."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
import yaml

from spear_accel.storage.json_lines import read_manifest, write_manifest
from tests.extras import need_fairseq2

RECIPE = Path(__file__).parents[2] / "recipes" / "kathleen"
PITCH = {letter: 150.0 + 110.0 * index for index, letter in enumerate("abcdefgh")}


def module(name: str) -> ModuleType:
    sys.path.insert(0, str(RECIPE))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(RECIPE))


def speak_tones(text: str, path: Path, **_: object) -> None:
    """A tone for every letter: a language that a toy voice can learn."""
    time = np.arange(2400) / 24_000
    tones = [np.sin(2 * np.pi * PITCH[c] * time) * np.hanning(2400) for c in text.lower() if c in PITCH]
    sound = np.concatenate([np.zeros(1200), *tones, np.zeros(1200)])
    soundfile.write(path, 0.3 * sound + 0.001 * np.random.default_rng(0).standard_normal(len(sound)), 24_000)


def letters(text: str, voice: str = "") -> list[str]:
    return [c for c in text.lower() if c in PITCH]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    (tmp_path / "corpus" / "wavs").mkdir(parents=True)
    lines = []
    for number in range(24):
        text = "".join(generator.choice(list(PITCH), size=8))
        identity = f"prompt_{number // 2:05d}_{number}"
        speak_tones(text, tmp_path / "corpus" / "wavs" / f"{identity}.wav")
        lines.append(f"{identity}|{text}|{text}\n")
    (tmp_path / "corpus" / "metadata.csv").write_text("".join(lines))
    return tmp_path / "corpus"


def test_split_is_by_prompt_stable_and_kept(corpus: Path, tmp_path: Path) -> None:
    prepare = module("prepare")
    split = prepare.split_prompts(corpus, tmp_path / "split.json", test=3, validation=2, seed=1)
    assert (len(split["test"]), len(split["validation"])) == (3, 2)
    assert not set(split["test"]) & set(split["validation"])
    assert prepare.split_prompts(corpus, tmp_path / "other.json", test=3, validation=2, seed=1) == split
    assert prepare.split_prompts(corpus, tmp_path / "split.json", test=9, validation=9, seed=9) == split


def test_no_prompt_on_two_sides(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = module("prepare")
    monkeypatch.setattr(prepare.espeak, "phonemes", letters)
    split = prepare.split_prompts(corpus, tmp_path / "split.json", test=3, validation=2, seed=1)
    prepare.corpus_manifests(corpus, None, split, tmp_path)
    sides = {
        name: {record["id"][:12] for record in read_manifest(tmp_path / f"{name}.jsonl", ("id", "audio", "phonemes"))}
        for name in ("train", "validation", "test")
    }
    assert sides["test"] == set(split["test"])
    assert not sides["train"] & (sides["test"] | sides["validation"])
    assert sum(len(read_manifest(tmp_path / f"{name}.jsonl")) for name in sides) == 24


def test_explained_variance_knows_good_tokens_from_bad() -> None:
    units = module("units")
    generator = torch.Generator().manual_seed(0)
    sounds = torch.randn(8, 2, 5, generator=generator)
    tokens = [torch.randint(8, (40,), generator=generator) for _ in range(30)]
    mels = [sounds[t].reshape(-1, 5) for t in tokens]
    shuffled = [t[torch.randperm(len(t), generator=generator)] for t in tokens]
    assert units.mel_explained(tokens, mels, units=8, held_out=10) > 0.95
    assert units.mel_explained(shuffled, mels, units=8, held_out=10) < 0.2


def test_pairs_are_normalised_text_and_tokens(tmp_path: Path) -> None:
    texts = module("texts")
    write_manifest(tmp_path / "m.jsonl", [{"id": "a", "text": "Dr. Who, 2 cats", "tokens": [1, 2]}])
    tokenizer = texts.train_tokenizer([tmp_path / "m.jsonl"], tmp_path / "t.model", {"kind": "char", "vocab_size": 64})
    assert texts.pair_manifest(tokenizer, tmp_path / "m.jsonl", tmp_path / "p.jsonl") == 1
    record = read_manifest(tmp_path / "p.jsonl", ("id", "text_ids", "tokens"))[0]
    assert tokenizer.decode(record["text_ids"]) == "doctor who, two cats"


def test_error_rates_ignore_case_figures_and_marks() -> None:
    pytest.importorskip("jiwer", reason="error rates need the extra eval")
    recogniser = module("recogniser")
    assert recogniser.character_error_rate(["Mr. Smith has 2 cats!"], ["mister smith has two cats"]) == 0.0
    assert recogniser.character_error_rate(["abcd"], ["abxd"]) == pytest.approx(0.25)
    assert recogniser.word_error_rate(["one two"], [""]) == 1.0


def test_the_shipped_settings_are_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    from spear_accel.audio.tokenizer import SpeechTokenizerConfig
    from spear_accel.training.loop.settings import read_settings
    from spear_accel.voice.folder import VoiceCard

    for name in ("WORK", "CORPUS", "TEXT_VOCABULARY", "TEXT_EOS"):
        monkeypatch.setenv(name, "7")
    settings = read_settings(RECIPE / "settings.yaml", ("split", "synthetic", "tokenizer", "variants", "text", "voice"))
    card, tokens = VoiceCard(**settings["voice"]), SpeechTokenizerConfig(**settings["tokenizer"])
    assert card.frame_rate == tokens.frame_rate
    for path in RECIPE.glob("text_to_semantic_*.yaml"):
        assert read_settings(path, ("data", "model", "loop", "output"))["model"]["semantic_units"] == tokens.units
    model = read_settings(RECIPE / "mel_decoder.yaml", ("model",))["model"]
    assert (model["units"], model["frame_rate"]) == (tokens.units, tokens.frame_rate)


@pytest.mark.slow
def test_the_whole_recipe_on_a_toy_corpus(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_fairseq2()
    for name in ("WORK", "CORPUS", "EXTRA", "SENTENCES", "OUTPUT", "CONFIG", "TEXT_VOCABULARY", "TEXT_EOS"):
        monkeypatch.setenv(name, "")
    run, prepare = module("run"), module("prepare")
    monkeypatch.setattr(prepare.espeak, "check", lambda: None)
    monkeypatch.setattr(prepare.espeak, "phonemes", letters)
    monkeypatch.setattr(prepare.espeak, "synthesise", speak_tones)
    (tmp_path / "sentences.txt").write_text("".join(f"{'abcdefgh'[i:]}{'abcdefgh'[:i]}\n" for i in range(8)))
    config = toy_config(tmp_path / "config")
    arguments = {
        "corpus": corpus, "extra": corpus, "sentences": tmp_path / "sentences.txt", "work": tmp_path / "work",
        "output": tmp_path / "voices", "config": config,
    }  # fmt: skip
    command = ["run.py", *(part for name, path in arguments.items() for part in (f"--{name}", str(path)))]
    monkeypatch.setattr(sys, "argv", command)
    run.main()

    from spear_accel import Voice

    speech = Voice.load(tmp_path / "voices" / "toy").speak("abc fed")
    assert speech.waveform.abs().max() > 0
    assert json.loads((tmp_path / "work" / "done.json").read_text()) == sorted(run.STEPS)
    monkeypatch.setattr(sys, "argv", [*command, "--only", "voice"])
    run.main()


def toy_config(folder: Path) -> Path:
    """The recipe's own YAML files with everything made small."""
    folder.mkdir()
    (folder / "model_card.md").write_text("A toy.\n")
    for path in RECIPE.glob("*.yaml"):
        values = yaml.safe_load(path.read_text())
        for change in (_small_loop, _small_model, _small_settings):
            change(path.stem, values)
        (folder / path.name).write_text(yaml.safe_dump(values))
    return folder


def _small_loop(_: str, values: dict[str, dict[str, object]]) -> None:
    if "loop" in values:
        values["loop"].update(steps=2, warmup_steps=1, validate_every=2, save_every=2, precision="no")


def _small_model(name: str, values: dict[str, dict[str, object]]) -> None:
    if name == "encoder":
        values["model"].update(dim=32, layers=3, heads=2, feed_forward_inner=32)
    elif name.startswith("text_to_semantic"):
        values["model"].update(dim=32, heads=2, kv_heads=2, head_dim=16, encoder_layers=1, decoder_layers=2,
                               ff_inner=32, semantic_units=16)  # fmt: skip
        if "guided_layers" in values["data"]:
            values["data"]["guided_layers"] = [1]
    elif name == "letter_times":
        values["model"].update(semantic_units=16, width=16, hidden=16, blocks=1)
    elif name.startswith("heads"):
        values["data"]["samples"].update(count=6, batch_size=6)
        for shape in values["heads"].values():
            shape.update({"memory_layer": 1} if "memory_layer" in shape else {})
    elif name.startswith("mel_decoder"):
        values["model"].update(units=16, width=16, hidden=32, token_blocks=1, frame_blocks=1)
        values["training"].update(crop_seconds=0.4, batch_size=2)
    elif name.startswith("vocoder"):
        values["model"].update(width=16, hidden=32, blocks=1)
        values["training"].update(crop_frames=24, batch_size=2)


def _small_settings(name: str, values: dict[str, dict[str, object]]) -> None:
    if name == "settings":
        values["split"].update(test=2, validation=2)
        values["tokenizer"].update(layer=2, units=16)
        values["voice"].update(name="toy")
        values["tune"].update(rows=[1, 2], longest=2, tokens=12, utterances=4)
