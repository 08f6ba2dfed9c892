"""Entry point of acoustic training: a YAML file in, a trained vocoder or mel decoder out.

``task: vocoder`` or ``task: mel-decoder`` chooses what is trained; both write a training folder that can be resumed.
Knows the YAML sections. Does not know networks or losses. Run alone with
``python -m spear_accel.training.acoustic CONFIG.yaml [--steps N] [--output DIR]``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spear_accel.acoustic.mel import LogMelConfig
from spear_accel.acoustic.mel_decoder import MelDecoder, MelDecoderConfig
from spear_accel.acoustic.stage import NeuralAcousticStage
from spear_accel.acoustic.vocoder import Vocoder, VocoderConfig
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.training.acoustic.mel_decoder import (
    MelDecoderTask,
    MelDecoderTraining,
    load_utterances,
    predicted_mels,
    read_tokens,
)
from spear_accel.training.acoustic.pitch import PitchConfig
from spear_accel.training.acoustic.recordings import Recording, RecordingsConfig, load_recordings, split_recordings
from spear_accel.training.acoustic.vocoder import AdversarialConfig, VocoderTask, VocoderTraining
from spear_accel.training.loop.settings import build, read_settings
from spear_accel.training.loop.trainer import LoopConfig, load_modules, run

MODEL = "model.json"


@dataclasses.dataclass(frozen=True)
class Aligned:
    """Lets a vocoder learn a mel decoder's frames: its training folder, and the tokens of the recordings."""

    mel_decoder: str
    tokens: str


def train(config: Path | dict[str, Any], folder: Path | None = None, steps: int | None = None) -> dict[str, float]:
    """Train what ``config`` says, resuming if its output folder holds a checkpoint.

    Args:
        config: The YAML file or its content.
        folder: Takes the place of ``output``.
        steps: Takes the place of ``loop.steps``.

    Returns:
        The metrics of the last validation.

    Raises:
        UserError: A setting is unknown, missing or does not fit.
    """
    values = dict(config) if isinstance(config, dict) else read_settings(config, ("task", "data", "loop"))
    tasks = {"vocoder": _train_vocoder, "mel-decoder": _train_mel_decoder}
    task = values.pop("task", None)
    if task not in tasks:
        raise UserError(f"task: {task!r} is unknown; choose one of {', '.join(tasks)}")
    output = folder or values.pop("output", None)
    if output is None:
        raise UserError("output: name the folder for checkpoints and log")
    values.pop("output", None)
    loop = dict(values.pop("loop", {}))
    if steps is not None:
        loop["steps"] = steps
    options = build(LoopConfig, loop, "loop")
    torch.manual_seed(options.seed)
    return tasks[task](values, options, Path(output))


def load_mel_decoder(folder: Path) -> MelDecoder:
    """The newest mel decoder of a training folder, in evaluation mode. Raises UserError where there is none."""
    description = _description(folder, "mel-decoder")
    mel = build(LogMelConfig, description["mel"], f"{folder / MODEL}: mel")
    decoder = MelDecoder(build(MelDecoderConfig, description["model"], f"{folder / MODEL}: model"), mel)
    decoder.load_state_dict(load_modules(folder)["mel_decoder"])
    return decoder.eval()


def load_vocoder(folder: Path) -> Vocoder:
    """The newest vocoder of a training folder, in evaluation mode. Raises UserError where there is none."""
    description = _description(folder, "vocoder")
    mel = build(LogMelConfig, description["mel"], f"{folder / MODEL}: mel")
    vocoder = Vocoder(build(VocoderConfig, description["model"], f"{folder / MODEL}: model"), mel)
    vocoder.load_state_dict(load_modules(folder)["vocoder"])
    return vocoder.eval()


def load_trained_stage(mel_decoder: Path, vocoder: Path) -> NeuralAcousticStage:
    """The stage of two training folders. Raises UserError where one of them holds no such thing."""
    return NeuralAcousticStage(load_mel_decoder(mel_decoder), load_vocoder(vocoder))


def _description(folder: Path, task: str) -> dict[str, Any]:
    path = folder / MODEL
    if not path.is_file():
        raise UserError(f"{path}: no such file; {folder} is no training folder of a {task}")
    description = files.read_json(path)
    if description["task"] != task:
        raise UserError(f"{folder}: holds a {description['task']}, wanted a {task}")
    return description


def _describe(folder: Path, task: str, mel: LogMelConfig, model: VocoderConfig | MelDecoderConfig) -> None:
    """Write the sizes beside the checkpoints, so that a training folder can be read without its YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {"task": task, "mel": dataclasses.asdict(mel), "model": dataclasses.asdict(model)}
    files.write_json(folder / MODEL, description)


def _check_sections(values: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        raise UserError(f"unknown section {', '.join(unknown)}; there are {', '.join(sorted(known))}")


def _start(modules: dict[str, nn.Module], initial: str | None, output: Path) -> None:
    """Take starting weights from the training folder ``initial``, unless ``output`` has a run of its own to go on with.

    A module that the earlier run had not (a discriminator) keeps its random start.
    """
    if initial is None or (output / "checkpoint").exists():
        return
    states = load_modules(Path(initial))
    for name in set(modules) & set(states):
        try:
            modules[name].load_state_dict(states[name])
        except RuntimeError as error:
            raise UserError(f"initial: {name} in {initial} has other sizes than this configuration") from error


def _train_vocoder(values: dict[str, Any], loop: LoopConfig, output: Path) -> dict[str, float]:
    _check_sections(values, {"data", "mel", "model", "adversarial", "training", "initial", "aligned"})
    nested = {
        "mel": build(LogMelConfig, values.get("mel", {}), "mel"),
        "model": build(VocoderConfig, values.get("model", {}), "model"),
        "adversarial": build(AdversarialConfig, values.get("adversarial", {}), "adversarial"),
    }
    options = build(VocoderTraining, values.get("training", {}) | nested, "training")
    data = build(RecordingsConfig, values.get("data", {}), "data")
    training, validation, _ = split_recordings(load_recordings(data, options.mel.sample_rate), data.split)
    mels = None
    if "aligned" in values:
        aligned = build(Aligned, values["aligned"], "aligned")
        mels = _aligned_mels(aligned, training + validation, Path(data.cache))
        training = [recording for recording in training if recording.name in mels]
        validation = [recording for recording in validation if recording.name in mels]
    task = VocoderTask(options, training, validation, mels)
    _start(task.modules, values.get("initial"), output)
    _describe(output, "vocoder", options.mel, options.model)
    return run(task, loop, output)


def _aligned_mels(aligned: Aligned, recordings: list[Recording], cache: Path) -> dict[str, Tensor]:
    decoder = load_mel_decoder(Path(aligned.mel_decoder))
    options = MelDecoderTraining(model=decoder.config, mel=decoder.mel)
    tokens = read_tokens(Path(aligned.tokens), decoder.config.units)
    return predicted_mels(decoder, load_utterances(recordings, tokens, options, cache))


def _train_mel_decoder(values: dict[str, Any], loop: LoopConfig, output: Path) -> dict[str, float]:
    _check_sections(values, {"data", "tokens", "mel", "model", "pitch", "training", "initial"})
    if "tokens" not in values:
        raise UserError("tokens: name the JSONL file with id and tokens of each recording")
    nested = {
        "mel": build(LogMelConfig, values.get("mel", {}), "mel"),
        "model": build(MelDecoderConfig, values.get("model", {}), "model"),
        "pitch": build(PitchConfig, values.get("pitch", {}), "pitch"),
    }
    options = build(MelDecoderTraining, values.get("training", {}) | nested, "training")
    data = build(RecordingsConfig, values.get("data", {}), "data")
    training, validation, _ = split_recordings(load_recordings(data, options.mel.sample_rate), data.split)
    tokens, cache = read_tokens(Path(values["tokens"]), options.model.units), Path(data.cache)
    sets = [load_utterances(part, tokens, options, cache) for part in (training, validation)]
    task = MelDecoderTask(options, sets[0], sets[1])
    _start(task.modules, values.get("initial"), output)
    _describe(output, "mel-decoder", options.mel, options.model)
    return run(task, loop, output)


def main() -> None:
    """Command line of this module; ``spear-accel train acoustic`` is the usual way in."""
    parser = argparse.ArgumentParser(description="train a vocoder or a mel decoder")
    parser.add_argument("config", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    try:
        print(train(arguments.config, arguments.output, arguments.steps), file=sys.stderr)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
