"""The shipped voice, from audio to `checkpoints/kathleen`: one script, restartable step by step.

    python recipes/kathleen/run.py --corpus KATHLEEN --extra LJSPEECH --sentences FILE --work WORK [--from STEP]

Finished steps are passed over; a training that was stopped goes on from its last checkpoint. README.md beside this
file lists the steps, what they took and what they reached.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import espeak
import package
import prepare
import texts
import units

from spear_accel.accelerate.costs import TunePlan
from spear_accel.acoustic import save_stage
from spear_accel.audio.tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.text.tokenizer import TextTokenizer
from spear_accel.training import speech_tokenizer
from spear_accel.training.acoustic.train import load_trained_stage
from spear_accel.training.acoustic.train import train as train_acoustic
from spear_accel.training.heads.train import train as train_heads
from spear_accel.training.loop.settings import build, read_settings
from spear_accel.training.text_to_semantic import letter_times
from spear_accel.training.text_to_semantic.train import train as train_text_to_semantic
from spear_accel.voice.folder import ACOUSTIC, SPEECH_TOKENIZER, TOKENIZER, VoiceFolder, open_voice

HERE = Path(__file__).parent
FOLDERS = ("corpus", "extra", "sentences", "work", "output", "config")


@dataclass(frozen=True)
class Recipe:
    """Where the data lie and what `settings.yaml` says."""

    corpus: Path
    extra: Path
    sentences: Path
    work: Path
    output: Path
    config: Path
    settings: dict[str, Any]
    base: VoiceFolder | None = None
    """A voice whose speech tokenizer and acoustic stage are taken over."""

    def run_settings(self, name: str) -> Path:
        """The YAML file of one training run."""
        return self.config / f"{name}.yaml"

    def manifest(self, name: str) -> Path:
        return self.work / "manifests" / f"{name}.jsonl"

    @property
    def voice(self) -> Path:
        return self.output / str(self.settings["voice"]["name"])

    def tokens(self, name: str) -> Path:
        return self.work / "tokens" / f"{name}.jsonl"


def data(recipe: Recipe) -> None:
    """Split by prompt, write manifests with phonemes, speak the sentences with espeak-ng."""
    espeak.check()
    split = prepare.split_prompts(recipe.corpus, recipe.work / "split.json", **recipe.settings["split"])
    prepare.corpus_manifests(recipe.corpus, recipe.extra, split, recipe.work / "manifests")
    prepare.synthetic_manifest(recipe.sentences, recipe.work / "manifests", recipe.settings["synthetic"])


def encoder(recipe: Recipe) -> None:
    """Train the speech encoder with CTC on phonemes."""
    speech_tokenizer.train(recipe.run_settings("encoder"))


def tokens(recipe: Recipe) -> None:
    """Fit the codebook on the chosen layer and tokenize every recording."""
    if recipe.base is None:
        _fit_tokenizer(recipe)
    tokenizer = SpeechTokenizer.from_folder(recipe.work / SPEECH_TOKENIZER)
    for name in ("train", "validation", "extra"):
        units.tokenize_manifest(tokenizer, read_manifest(recipe.manifest(name)), recipe.tokens(name))
    for name, change in recipe.settings["variants"].items():
        target = recipe.tokens(f"train_{name}")
        units.tokenize_manifest(tokenizer, read_manifest(recipe.manifest("train")), target, **change)
    whole = [r for name in ("train", "validation") for r in read_manifest(recipe.tokens(name))]
    write_manifest(recipe.work / "tokens.jsonl", whole)
    spoken = recipe.settings["synthetic"]
    paired = [r for r in read_manifest(recipe.manifest("synthetic")) if r["voice"] == spoken["main_voice"]]
    units.tokenize_manifest(tokenizer, paired[: spoken["paired"]], recipe.tokens("synthetic"))


def _fit_tokenizer(recipe: Recipe) -> None:
    shape, weights = speech_tokenizer.load_trained(recipe.work / "encoder")
    config = SpeechTokenizerConfig(encoder=asdict(shape), **recipe.settings["tokenizer"])
    # The voice alone: its units describe its own sound, and other voices are mapped to the nearest of them.
    fitted_on = read_manifest(recipe.manifest("train"))
    kept = {key: value for key, value in weights.items() if _used(key, config.layer)}
    units.fit_tokenizer(config, weights, fitted_on, seed=0).save(recipe.work / SPEECH_TOKENIZER, kept)


def acoustic_stage(recipe: Recipe) -> None:
    """Train the mel decoder, and the vocoder in three passes."""
    for name in ("vocoder_spectral", "vocoder_adversarial", "mel_decoder", "vocoder"):
        train_acoustic(recipe.run_settings(name))
    stage = load_trained_stage(recipe.work / "mel_decoder", recipe.work / "vocoder")
    save_stage(stage, recipe.work / ACOUSTIC)


def text(recipe: Recipe) -> None:
    """Train the text tokenizer; pair text ids with semantic tokens, and with phonemes."""
    manifests = [recipe.manifest("train"), recipe.manifest("synthetic")]
    tokenizer = texts.train_tokenizer(manifests, recipe.work / TOKENIZER, recipe.settings["text"])
    for name in _paired(recipe):
        texts.pair_manifest(tokenizer, recipe.tokens(name), recipe.work / "pairs" / f"{name}.jsonl")
    _spellings(recipe, tokenizer)


def _paired(recipe: Recipe) -> list[str]:
    variants = [f"train_{name}" for name in recipe.settings["variants"]]
    return ["train", *variants, "validation", "extra", "synthetic"]


def _spellings(recipe: Recipe, tokenizer: TextTokenizer) -> None:
    folder = recipe.work / "spellings"
    known = [recipe.manifest(name) for name in ("train", "extra", "synthetic")]
    texts.spelling_manifest(tokenizer, known, folder / "train.jsonl")
    texts.spelling_manifest(tokenizer, [recipe.manifest("validation")], folder / "validation.jsonl")


def times(recipe: Recipe) -> None:
    """Learn to spell semantic tokens, and date the letters of every pair."""
    _name_text_size(recipe)
    settings = recipe.run_settings("letter_times")
    letter_times.train(settings)
    speller = letter_times.load_trained(settings)
    for name in _paired(recipe):
        texts.date_letters(speller, recipe.work / "pairs" / f"{name}.jsonl")


def _name_text_size(recipe: Recipe) -> None:
    size = TextTokenizer.load(recipe.work / TOKENIZER).vocab_size
    os.environ["TEXT_VOCABULARY"], os.environ["TEXT_EOS"] = str(size + 1), str(size)


def model(recipe: Recipe) -> None:
    """Train text-to-semantic: denoising, pronunciation, alignment, synthetic and real pairs, then real pairs alone."""
    _name_text_size(recipe)
    for name in ("pretrain", "pronounce", "align", "synthetic", "real"):
        train_text_to_semantic(recipe.run_settings(f"text_to_semantic_{name}"))


def heads(recipe: Recipe) -> None:
    """Teach the draft heads what the finished model says itself."""
    for settings in ("heads", "heads_recurrent"):
        train_heads(recipe.run_settings(settings))


def voice(recipe: Recipe) -> None:
    """Assemble the voice folder."""
    package.package(recipe.work, recipe.voice, recipe.settings["voice"], recipe.config / "model_card.md")


def tune(recipe: Recipe) -> None:
    """Measure what drafting costs and brings: the voice's own defaults. Leave the machine idle meanwhile."""
    plan = build(TunePlan, recipe.settings["tune"], "settings, tune")
    package.tune(recipe.voice, recipe.work / "pairs" / "validation.jsonl", plan)


STEPS: dict[str, Callable[[Recipe], None]] = {
    "data": data, "encoder": encoder, "tokens": tokens, "acoustic": acoustic_stage, "text": text, "times": times,
    "model": model, "heads": heads, "voice": voice, "tune": tune,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, what in (
        ("corpus", "the voice, in LJSpeech layout"), ("extra", "a second voice, for the encoder and the vocoder"),
        ("sentences", "text to speak with espeak-ng, a sentence a line"), ("work", "working folder, 8 GB"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "checkpoints", help="where the voice goes")
    parser.add_argument(
        "--base", help="take the speech tokenizer and the acoustic stage of this voice instead of training them"
    )
    parser.add_argument("--config", type=Path, default=HERE, help="folder of the YAML files and the model card")
    parser.add_argument(
        "--from",
        dest="first",
        choices=STEPS,
        help="do this step and all after it again; a training goes on from its folder in WORK",
    )
    parser.add_argument("--only", choices=STEPS, help="do this step alone")
    arguments = parser.parse_args()
    folders = {name: getattr(arguments, name).resolve() for name in FOLDERS}
    os.environ.update({name.upper(): str(path) for name, path in folders.items()})
    needed = ("split", "synthetic", "tokenizer", "variants", "text", "voice", "tune")
    try:
        base = None if arguments.base is None else open_voice(arguments.base)
        recipe = Recipe(**folders, settings=read_settings(folders["config"] / "settings.yaml", needed), base=base)
        recipe.work.mkdir(parents=True, exist_ok=True)
        run(recipe, arguments.first, arguments.only)
    except UserError as error:
        sys.exit(f"error: {error}")


def run(recipe: Recipe, first: str | None, only: str | None) -> None:
    """Do the steps that are not done, in order; ``first`` and ``only`` as on the command line."""
    stamp = recipe.work / "done.json"
    done = set(json.loads(stamp.read_text())) if stamp.exists() else set()
    names = list(STEPS)
    if first is not None:
        done -= set(names[names.index(first) :])
    if recipe.base is not None:
        for part in (SPEECH_TOKENIZER, ACOUSTIC):
            shutil.copytree(recipe.base.part(part), recipe.work / part, dirs_exist_ok=True)
        done |= {"encoder", "acoustic"}
    for name in [only] if only else [name for name in names if name not in done]:
        print(f"== {name}: {STEPS[name].__doc__}", file=sys.stderr)
        STEPS[name](recipe)
        done.add(name)
        files.write_text(stamp, json.dumps(sorted(done)) + "\n")


def _used(key: str, layer: int) -> bool:
    """Whether a weight of the recogniser is needed to run its encoder up to ``layer``."""
    parts = key.removeprefix("recogniser.").split(".")
    if parts[:2] == ["encoder", "layers"]:
        return int(parts[2]) < layer
    return parts[0] in ("encoder_frontend", "encoder")


if __name__ == "__main__":
    main()
