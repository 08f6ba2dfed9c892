"""The shipped voice, from audio to `checkpoints/kathleen`: one script, restartable step by step.

    python recipes/kathleen/run.py --corpus KATHLEEN --extra LJSPEECH --sentences FILE --work WORK [--from STEP] [--only STEP]

Finished steps are passed over; a training that was stopped goes on from its last checkpoint. README.md beside this
file lists the steps, what they took and what they reached.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espeak
import package
import prepare
import texts
import units

from spear_accel.data.manifest import read_manifest, write_manifest
from spear_accel.errors import UserError
from spear_accel.io.voice import TOKENIZER
from spear_accel.speech.encoder import FbankEncoderConfig
from spear_accel.speech.tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from spear_accel.text.tokenizer import TextTokenizer
from spear_accel.training import acoustic, speech_tokenizer, text_to_semantic
from spear_accel.training.loop import load_modules
from spear_accel.training.settings import read_settings

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """Where the data lie and what `settings.yaml` says."""

    corpus: Path
    extra: Path
    sentences: Path
    work: Path
    settings: dict[str, Any]

    def manifest(self, name: str) -> Path:
        return self.work / "manifests" / f"{name}.jsonl"

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
    speech_tokenizer.train(HERE / "encoder.yaml")


def tokens(recipe: Recipe) -> None:
    """Fit the codebook on the chosen layer and tokenize every recording."""
    trained = read_settings(HERE / "encoder.yaml", ("data", "model"))
    symbols = len(speech_tokenizer.symbols_of(trained))
    shape = FbankEncoderConfig(symbols=symbols, **trained["model"])
    weights = load_modules(recipe.work / "encoder")["encoder"]
    chosen = recipe.settings["tokens"]
    config = SpeechTokenizerConfig(encoder=vars(shape), **chosen["tokenizer"])
    fitted_on = [r for name in ("train", "extra") for r in read_manifest(recipe.manifest(name))][:: chosen["every"]]
    fitted_on += read_manifest(recipe.manifest("synthetic"))[: chosen["synthetic_files"]]
    folder = recipe.work / "speech_tokenizer"
    kept = {key: value for key, value in weights.items() if _used(key, config.layer)}
    units.fit_tokenizer(config, weights, fitted_on, seed=0).save(folder, kept)
    tokenizer = SpeechTokenizer.from_folder(folder)
    for name in ("train", "validation", "test", "extra", "synthetic"):
        units.tokenize_manifest(tokenizer, recipe.manifest(name), recipe.tokens(name))
    whole = [r for name in ("train", "validation", "extra") for r in read_manifest(recipe.tokens(name))]
    write_manifest(recipe.work / "tokens.jsonl", whole)


def acoustic_stage(recipe: Recipe) -> None:
    """Train the mel decoder, and the vocoder in three passes."""
    for name in ("vocoder_spectral", "vocoder_adversarial", "mel_decoder", "vocoder"):
        acoustic.train(HERE / f"{name}.yaml")


def text(recipe: Recipe) -> None:
    """Train the text tokenizer and pair text ids with semantic tokens."""
    manifests = [recipe.manifest("train"), recipe.manifest("synthetic")]
    tokenizer = texts.train_tokenizer(manifests, recipe.work / TOKENIZER, recipe.settings["text"])
    main_voice = {"synthetic": recipe.settings["synthetic"]["main_voice"]}
    for name in ("train", "validation", "extra", "synthetic"):
        texts.pair_manifest(tokenizer, recipe.tokens(name), recipe.work / "pairs" / f"{name}.jsonl", main_voice.get(name))


def model(recipe: Recipe) -> None:
    """Train text-to-semantic: denoising, then synthetic and real pairs, then real pairs alone."""
    size = TextTokenizer.load(recipe.work / TOKENIZER).vocab_size
    os.environ["TEXT_VOCABULARY"], os.environ["TEXT_EOS"] = str(size + 1), str(size)
    for name in ("pretrain", "synthetic", "real"):
        text_to_semantic.train(HERE / f"text_to_semantic_{name}.yaml")


def voice(recipe: Recipe) -> None:
    """Assemble `checkpoints/kathleen`."""
    target = HERE.parents[1] / "checkpoints" / recipe.settings["voice"]["name"]
    package.package(recipe.work, target, recipe.settings["voice"], HERE / "model_card.md")


STEPS: dict[str, Callable[[Recipe], None]] = {
    "data": data, "encoder": encoder, "tokens": tokens, "acoustic": acoustic_stage, "text": text, "model": model,
    "voice": voice,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, what in (
        ("corpus", "the voice, in LJSpeech layout"), ("extra", "a second voice, for the encoder and the vocoder"),
        ("sentences", "text to speak with espeak-ng, a sentence a line"), ("work", "working folder, 8 GB"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--from", dest="first", choices=STEPS, help="do this step and all after it anew")
    parser.add_argument("--only", choices=STEPS, help="do this step alone")
    arguments = parser.parse_args()
    folders = {name: getattr(arguments, name).resolve() for name in ("corpus", "extra", "sentences", "work")}
    os.environ.update({name.upper(): str(path) for name, path in folders.items()})
    recipe = Recipe(**folders, settings=read_settings(HERE / "settings.yaml", ("split", "synthetic", "tokens", "voice")))
    recipe.work.mkdir(parents=True, exist_ok=True)
    try:
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
    for name in [only] if only else [name for name in names if name not in done]:
        print(f"== {name}: {STEPS[name].__doc__}", file=sys.stderr)
        STEPS[name](recipe)
        done.add(name)
        stamp.write_text(json.dumps(sorted(done)) + "\n")


def _used(key: str, layer: int) -> bool:
    """Whether a weight of the recogniser is needed to run its encoder up to ``layer``."""
    parts = key.removeprefix("recogniser.").split(".")
    if parts[:2] == ["encoder", "layers"]:
        return int(parts[2]) < layer
    return parts[0] in ("encoder_frontend", "encoder")


if __name__ == "__main__":
    main()
