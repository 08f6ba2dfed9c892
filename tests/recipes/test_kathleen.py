"""The recipe of the shipped voice: its steps alone, and (slow tier) the whole of it on a toy corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from spear_accel import Voice
from spear_accel.audio.tokenizer import SpeechTokenizer
from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.text.phonemes import PhonemeTokenizer
from spear_accel.text.tokenizers import load_tokenizer
from spear_accel.training.loop.settings import read_settings
from spear_accel.voice.folder import VoiceCard
from tests.extras import need_fairseq2
from tests.recipes.conftest import PITCH, RECIPES, script, speak_tones

RECIPE = RECIPES / "kathleen"


def letters(text: str, voice: str = "") -> list[str]:
    return [c for c in text.lower() if c in PITCH]


def recipe_of(corpus: Path, tmp_path: Path, config: Path = RECIPE) -> Any:
    (tmp_path / "sentences.txt").write_text("".join(f"{'abcdefgh'[i:]}{'abcdefgh'[:i]}\n" for i in range(8)) + "7 %\n")
    (tmp_path / "work").mkdir()
    inputs = {"extra": corpus, "sentences": tmp_path / "sentences.txt"}
    return script("recipe").Recipe(corpus, tmp_path / "work", tmp_path / "voices", config, inputs)


def test_data_keep_prompts_apart_and_have_phonemes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = script("prepare")
    silence_espeak(monkeypatch)
    recipe = recipe_of(corpus, tmp_path, toy_config(tmp_path / "config"))
    prepare.data(recipe)
    records = {
        name: read_manifest(recipe.manifest(name), ("id", "audio", "text", "phonemes"))
        for name in ("train", "validation", "test", "extra", "synthetic_all", "synthetic")
    }
    prompts = {name: {record["id"][:12] for record in records[name]} for name in ("train", "validation", "test")}
    assert [len(prompts[name]) for name in ("train", "validation", "test")] == [8, 2, 2]
    assert len(set.union(*prompts.values())) == 12
    assert len(records["extra"]) == 24 and len(records["synthetic_all"]) == 8
    assert {record["voice"] for record in records["synthetic"]} == {"en-us+f3"}
    assert records["synthetic"][0]["phonemes"] == list(records["synthetic"][0]["text"])


def test_explained_variance_knows_good_tokens_from_bad() -> None:
    units = script("units")
    generator = torch.Generator().manual_seed(0)
    sounds = torch.randn(8, 2, 5, generator=generator)
    tokens = [torch.randint(8, (40,), generator=generator) for _ in range(30)]
    mels = [sounds[t].reshape(-1, 5) for t in tokens]
    shuffled = [t[torch.randperm(len(t), generator=generator)] for t in tokens]
    assert units.mel_explained(tokens, mels, vocabulary=8, held_out=10) > 0.95
    assert units.mel_explained(shuffled, mels, vocabulary=8, held_out=10) < 0.2


def test_the_shipped_settings_are_well_formed(corpus: Path, tmp_path: Path) -> None:
    """Every run that they name has its settings, and all speak of the same tokens."""
    recipe = recipe_of(corpus, tmp_path)
    recipe.note(TEXT_VOCABULARY=38, TEXT_EOS=37)
    settings = recipe.settings
    card, tokens = VoiceCard(**settings["voice"], sample_rate=24_000), settings["speech_tokenizer"]
    assert card.frame_rate == tokens["frame_rate"]
    for step, runs in settings["train"].items():
        for name in runs:
            values = read_settings(recipe.run_file(name), ("loop", "output"))
            if step == "model":
                assert values["model"]["semantic_units"] == tokens["tokens"]
                assert values["model"]["text_eos_id"] == 37
            if name == "mel_decoder":
                assert (values["model"]["units"], values["model"]["frame_rate"]) == (tokens["tokens"], card.frame_rate)


@pytest.mark.slow
def test_the_whole_recipe_on_a_toy_corpus(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_fairseq2()
    silence_espeak(monkeypatch)
    recipe = recipe_of(corpus, tmp_path, toy_config(tmp_path / "config"))
    arguments = {
        "corpus": corpus, "work": recipe.work, "output": recipe.output, "config": recipe.config, **recipe.inputs
    }  # fmt: skip
    command = [part for name, path in arguments.items() for part in (f"--{name}", str(path))]
    assert script("run").main(command) == 0
    speech = Voice.load(tmp_path / "voices" / "toy").speak("abc fed")
    assert speech.waveform.abs().max() > 0
    assert script("run").main([*command, "--only", "voice"]) == 0


def silence_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program need not be installed."""
    espeak = script("espeak")
    monkeypatch.setattr(espeak, "check", lambda: None)
    monkeypatch.setattr(espeak, "phonemes", letters)
    monkeypatch.setattr(espeak, "synthesise", speak_tones)


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
        values["speech_tokenizer"].update(layer=2, tokens=16)
        values["voice"].update(name="toy")
        values["tune"].update(rows=[1, 2], longest=2, tokens=12, utterances=4)


def test_what_was_trained_for_the_next_voice_loads() -> None:
    need_fairseq2()
    trained = RECIPE / "trained"
    tokenizer = SpeechTokenizer.from_folder(trained / "speech_tokenizer")
    assert (tokenizer.config.units, tokenizer.config.frame_rate) == (2048, 25)
    noise = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    assert len(tokenizer.tokenize([noise])[0]) == 25
    phonemes = PhonemeTokenizer.load(trained / "phonemes")
    assert phonemes.pronounce("She laughed at the machine.") == "ʃi lˈæft æt ðə məʃˈin."
    assert phonemes.pronounce("Did you read the use of it?") == "dˈɪd ju ɹˈid ðə jˈus ʌv ɪt?"
    assert phonemes.pronounce("Zyntrax") == "zˈɪntɹæks"


def test_texts_may_be_paired_as_phonemes(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    settings = yaml.safe_load((RECIPE / "settings.yaml").read_text())
    settings["tokenize"], settings["variants"] = ["train"], {}
    settings["text"] = {"phoneme_tokenizer": str(RECIPE / "trained" / "phonemes")}
    (config / "settings.yaml").write_text(yaml.safe_dump(settings))
    recipe = script("recipe").Recipe(tmp_path, tmp_path / "work", tmp_path / "voices", config)
    write_manifest(recipe.tokens("train"), [{"id": "a", "text": "Dr. Who laughed.", "tokens": [1, 2, 3]}])
    script("steps").text(recipe)
    tokenizer = load_tokenizer(recipe.work / "phonemes")
    assert isinstance(tokenizer, PhonemeTokenizer)
    assert tokenizer.decode(read_manifest(recipe.pairs("train"))[0]["text_ids"]) == "dˈɑktəɹ hˌu lˈæft."
    assert recipe.figures()["TEXT_VOCABULARY"] == tokenizer.vocab_size + 1
