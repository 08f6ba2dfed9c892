"""The steps from manifests to a voice. What is trained in each, and with which settings, is said by `settings.yaml`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import assemble
import recordings
from recipe import Recipe, Step
from tqdm import tqdm

from spear_accel.accelerate.costs import TunePlan
from spear_accel.acoustic import save_stage
from spear_accel.audio.encoder import SpeechEncoder
from spear_accel.audio.tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from spear_accel.data import pairs
from spear_accel.data.features import fit_speech_tokenizer
from spear_accel.errors import UserError
from spear_accel.storage import folders
from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.text import FrontEnd, TokenizerConfig, front_end_for
from spear_accel.text.phonemes import PhonemeTokenizer
from spear_accel.text.tokenizers import AnyTokenizer
from spear_accel.training import speech_quantiser, speech_tokenizer
from spear_accel.training.acoustic.train import load_trained_stage
from spear_accel.training.acoustic.train import train as train_acoustic
from spear_accel.training.heads.train import train as train_heads
from spear_accel.training.loop.settings import build, read_settings
from spear_accel.training.text_to_semantic import ctc_aligner
from spear_accel.training.text_to_semantic.train import train as train_text_to_semantic
from spear_accel.voice.folder import ACOUSTIC, PHONEMES, SPEECH_TOKENIZER, TOKENIZER, open_voice

__all__ = ["steps"]

_progress = partial(tqdm, desc="recordings", mininterval=5)
_report = partial(print, file=sys.stderr)
FEEDBACK = pairs.Feedback(report=lambda fault: _report(f"left out: {fault}"), progress=_progress)

_TEACHERS = Path(__file__).resolve().parents[1] / "kathleen"
"""Where the scripts of the step `teacher` lie."""
_LONG, _SHORTEST_BOUND = 0.98, 20
"""Utterances are cut at the length of this share of the recordings, in characters, but never below the bound."""


def teacher(recipe: Recipe) -> None:
    """Have a teacher speak sentences, as the section `teacher` of the settings says; without one, nothing is done."""
    given = recipe.settings.get("teacher")
    if not given:
        return
    sys.path.append(str(_TEACHERS))
    import teacher as corpora

    values = recipe.filled(given, recipe.config / "settings.yaml")
    out = recipe.work / "teacher"
    paths = {key: Path(values[key]) for key in ("sentences", "voice_packs") if values.get(key)}
    corpora.run(corpora.options(out=out, **{**values, **paths}))
    corpora.write_training(out, recipe.manifest("teacher"), recipe.manifest("teacher_validation"))


def encoder(recipe: Recipe) -> None:
    """Train the speech encoder, and its quantiser; without runs, the encoder of the base voice is taken."""
    for name in _runs(recipe, "encoder"):
        path = recipe.run_file(name)
        (speech_quantiser if _trains_quantiser(path) else speech_tokenizer).train(path)


def _trains_quantiser(settings: Path) -> bool:
    return "quantiser" in read_settings(settings, ())


def tokens(recipe: Recipe) -> None:
    """Make the speech tokenizer, and tokenize every manifest and the variants of the first one."""
    folder = recipe.work / SPEECH_TOKENIZER
    if not folder.exists():
        with folders.replacing(folder) as building:
            _make_tokenizer(recipe, building)
    tokenizer = SpeechTokenizer.from_folder(folder)
    recipe.note(SEMANTIC_TOKENS=tokenizer.config.units, FRAME_RATE=tokenizer.config.frame_rate)
    names = recipe.settings["tokenize"]
    for name in names:
        pairs.tokenize_manifest(tokenizer, read_manifest(recipe.manifest(name)), recipe.tokens(name), feedback=FEEDBACK)
    for name, change in recipe.settings["variants"].items():
        variant, target = build(pairs.Variant, change, f"variants.{name}"), recipe.tokens(f"{names[0]}_{name}")
        pairs.tokenize_manifest(
            tokenizer, read_manifest(recipe.manifest(names[0])), target, variant=variant, feedback=FEEDBACK
        )
    whole = [record for name in ("train", "validation") for record in read_manifest(recipe.tokens(name))]
    write_manifest(recipe.work / "tokens.jsonl", whole)


def _make_tokenizer(recipe: Recipe, folder: Path) -> None:
    """A trained tokenizer, or a codebook fitted to the voice's own recordings: its tokens describe its own sound."""
    settings, runs = recipe.settings["speech_tokenizer"], _runs(recipe, "encoder")
    if (given := settings.get("trained")) is not None:
        tokenizer_folder = Path(recipe.filled(given, recipe.config / "settings.yaml"))
        SpeechTokenizer.from_folder(tokenizer_folder)
        shutil.copytree(tokenizer_folder, folder, dirs_exist_ok=True)
        return
    records = read_manifest(recipe.manifest("train"))
    if runs and _trains_quantiser(recipe.run_file(runs[-1])):
        tokenizer, below = speech_quantiser.load_trained(recipe.run_folder(runs[-1]))
        tokenizer.save(folder, below)
        return
    if runs:
        shape, weights = speech_tokenizer.load_trained(recipe.run_folder(runs[-1]))
        given = {key: settings[key] for key in ("layer", "frame_rate", "pool")}
        config = SpeechTokenizerConfig(encoder=asdict(shape), units=settings["tokens"], **given)
        kept = speech_tokenizer.encoder_weights(weights, config.layer)
        speech_encoder = SpeechEncoder.from_config(shape, weights, config.layer)
        fit_speech_tokenizer(config, speech_encoder, records, settings["fit_on"], _progress).save(folder, kept)
        return
    shutil.copytree(open_voice(settings["base"]).part(SPEECH_TOKENIZER), folder, dirs_exist_ok=True)
    if settings["tokens"] is not None:
        base = SpeechTokenizer.from_folder(folder)
        config = replace(base.config, units=settings["tokens"])
        fit_speech_tokenizer(config, base.encoder, records, settings["fit_on"], _progress).save(folder)


def acoustic(recipe: Recipe) -> None:
    """Train the mel decoder and the vocoder."""
    trained: dict[str, Path] = {}
    for name in _runs(recipe, "acoustic"):
        path = recipe.run_file(name)
        train_acoustic(path)
        trained[assemble.task_of(path)] = recipe.run_folder(name)
    if missing := [task for task in ("mel-decoder", "vocoder") if task not in trained]:
        raise UserError(f"settings.yaml, train.acoustic: trains no {' and no '.join(missing)}")
    with folders.replacing(recipe.work / ACOUSTIC) as building:
        save_stage(load_trained_stage(trained["mel-decoder"], trained["vocoder"]), building)


def text(recipe: Recipe) -> None:
    """Train the text tokenizer, or take one of phonemes; pair text ids with tokens and, if asked, with phonemes."""
    settings, card = recipe.settings["text"], recipe.settings["voice"]
    front_end = front_end_for(card["language"], card.get("front_end"))
    reader = pairs.TextReader(_text_tokenizer(recipe, settings, front_end), front_end)
    for name in _paired(recipe):
        pairs.pair_manifest(reader, recipe.tokens(name), recipe.pairs(name), FEEDBACK.report)
    for name, sources in settings.get("phonemes", {}).items():
        target = recipe.work / "spellings" / f"{name}.jsonl"
        pairs.phoneme_manifest(reader, [recipe.manifest(source) for source in sources], target)
    _note_text(recipe, reader)


def _text_tokenizer(recipe: Recipe, settings: dict[str, Any], front_end: FrontEnd) -> AnyTokenizer:
    """The tokenizer of phonemes in the folder that the settings name, or one of letters that is trained here."""
    if (given := settings.get("phoneme_tokenizer")) is not None:
        tokenizer = PhonemeTokenizer.load(recipe.filled(given, recipe.config / "settings.yaml"))
        tokenizer.save(recipe.work / PHONEMES)
        return tokenizer
    config = build(TokenizerConfig, settings["tokenizer"], "settings.yaml, text.tokenizer")
    manifests = [recipe.manifest(name) for name in settings["manifests"]]
    return pairs.train_text_tokenizer(manifests, recipe.work / TOKENIZER, config, front_end)


def _note_text(recipe: Recipe, reader: pairs.TextReader) -> None:
    """Figures of the voice's own recordings that settings ask for."""
    records, tokenizer = read_manifest(recipe.tokens("train")), reader.tokenizer
    texts = [reader.front_end(record["text"]).text for record in records]
    lengths, ids = [len(text) for text in texts], [len(tokenizer.encode(text)) for text in texts]
    counts = [len(record["tokens"]) for record in records]
    recipe.note(
        TEXT_VOCABULARY=tokenizer.vocab_size + 1,
        TEXT_EOS=tokenizer.vocab_size,
        TOKENS_PER_ID=round(sum(counts) / max(1, sum(ids)), 2),
        TOKENS_PER_CHARACTER=round(sum(counts) / max(1, sum(lengths)), 2),
        SHORT_TOKENS=sorted(counts)[len(counts) // 2],
        LONGEST_UTTERANCE=max(_SHORTEST_BOUND, sorted(lengths)[int(_LONG * (len(lengths) - 1))]),
    )


def _paired(recipe: Recipe) -> list[str]:
    names = recipe.settings["tokenize"]
    return [*names, *(f"{names[0]}_{variant}" for variant in recipe.settings["variants"])]


def times(recipe: Recipe) -> None:
    """Learn to spell tokens, and note in every pair where in its text each token is said."""
    for name in _runs(recipe, "times"):
        path = recipe.run_file(name)
        ctc_aligner.train(path)
        aligner = ctc_aligner.load_trained(path)
        for pair in _paired(recipe):
            assemble.align_pairs(aligner, recipe.pairs(pair))


def model(recipe: Recipe) -> None:
    """Train text-to-semantic, phase by phase."""
    for name in _runs(recipe, "model"):
        train_text_to_semantic(recipe.run_file(name))


def heads(recipe: Recipe) -> None:
    """Train draft heads on what the finished model says itself."""
    for name in _runs(recipe, "heads"):
        train_heads(recipe.run_file(name))


def voice(recipe: Recipe) -> None:
    """Put the voice folder together."""
    folders_of = {part: [recipe.run_folder(name) for name in _runs(recipe, part)] for part in ("model", "heads")}
    assemble.assemble(recipe, folders_of["model"][-1], folders_of["heads"])


def tune(recipe: Recipe) -> None:
    """Measure what drafts cost and bring on this machine, which must be idle: the voice's own defaults."""
    plan = build(TunePlan, recipe.settings["tune"], "settings.yaml, tune")
    assemble.tune(recipe.voice, recipe.pairs("validation"), plan)


def _runs(recipe: Recipe, step: str) -> list[str]:
    """The training runs of a step, in order: names of YAML files."""
    runs: list[str] = recipe.settings["train"][step] or []
    return runs


def steps(data: Callable[[Recipe], None] = recordings.data) -> list[Step]:
    """All steps in order.

    Args:
        data: Writes the manifests that the settings name; the recipe's own preparation by default.
    """
    work: dict[str, Callable[[Recipe], Any]] = {
        "data": data, "teacher": teacher, "encoder": encoder, "tokens": tokens, "acoustic": acoustic, "text": text,
        "times": times, "model": model, "heads": heads, "voice": voice, "tune": tune,
    }  # fmt: skip
    return [Step(name, str(function.__doc__).splitlines()[0], function) for name, function in work.items()]
