"""Entry point of acoustic training: settings in, a trained vocoder or mel decoder out.

`task: vocoder` or `task: mel-decoder` chooses what is trained; both write a training folder that can be resumed.
Knows the sections of the settings. Does not know networks or losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from spear_accel.acoustic.mel import LogMelConfig
from spear_accel.acoustic.mel_decoder import MelDecoder, MelDecoderConfig
from spear_accel.acoustic.stage import NeuralAcousticStage
from spear_accel.acoustic.vocoder import Vocoder, VocoderConfig
from spear_accel.errors import UserError
from spear_accel.storage.weights import CONFIG, read_config, read_tensors
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
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.settings import Sections, Settings, build, read_sections, read_settings
from spear_accel.training.loop.trainer import load_modules, run

__all__ = ["load_mel_decoder", "load_trained_stage", "load_vocoder", "train"]

Kind = Literal["vocoder", "mel-decoder"]
Options = TypeVar("Options")
_OPTIONAL = ("mel", "model", "training", "init_from")


@dataclass(frozen=True)
class Aligned:
    """The `aligned` section: a vocoder learns a mel decoder's frames, of its training folder and these tokens."""

    mel_decoder: str
    tokens: str


def train(settings: Settings) -> dict[str, float]:
    """Trains from settings with `task`, the sections `data` and `loop`, and an `output` folder.

    Returns:
        The metrics of the last validation. The output folder holds the loop's files and config.json.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    named = read_settings(settings, ("task",))
    place = "settings" if isinstance(settings, Mapping) else str(settings)
    if build(Kind, named["task"], f"{place}, task") == "vocoder":  # type: ignore[arg-type]
        own = ("adversarial", "aligned")
        return _train_vocoder(read_sections(settings, ("task", "data"), (*_OPTIONAL, *own)))
    return _train_mel_decoder(read_sections(settings, ("task", "data", "tokens"), (*_OPTIONAL, "pitch", "centroids")))


def load_mel_decoder(folder: Path) -> MelDecoder:
    """The newest mel decoder of a training folder, in evaluation mode.

    Raises:
        UserError: The folder holds none.
    """
    description = _description(folder, "mel-decoder")
    mel = build(LogMelConfig, description["mel"], f"{folder / CONFIG}: mel")
    decoder = MelDecoder(build(MelDecoderConfig, description["model"], f"{folder / CONFIG}: model"), mel)
    decoder.load_state_dict(load_modules(folder)["mel_decoder"])
    return decoder.eval()


def load_vocoder(folder: Path) -> Vocoder:
    """The newest vocoder of a training folder, in evaluation mode.

    Raises:
        UserError: The folder holds none.
    """
    description = _description(folder, "vocoder")
    mel = build(LogMelConfig, description["mel"], f"{folder / CONFIG}: mel")
    vocoder = Vocoder(build(VocoderConfig, description["model"], f"{folder / CONFIG}: model"), mel)
    vocoder.load_state_dict(load_modules(folder)["vocoder"])
    return vocoder.eval()


def load_trained_stage(mel_decoder: Path, vocoder: Path) -> NeuralAcousticStage:
    """The stage of two training folders.

    Raises:
        UserError: One of them holds no such thing.
    """
    return NeuralAcousticStage(load_mel_decoder(mel_decoder), load_vocoder(vocoder))


def read_centroids(path: Path | str) -> Tensor:
    """The vectors of a speech tokenizer's units: [units, D].

    Raises:
        UserError: The file holds none.
    """
    tensors = read_tensors(path)
    if "centroids" not in tensors:
        raise UserError(f"{path}: lacks centroids; name a speech tokenizer's codebook.safetensors")
    return tensors["centroids"]


def _description(folder: Path, task: Kind) -> dict[str, Any]:
    """The config.json of a training folder, which says what was trained in which size."""
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder / CONFIG}: no such file; {folder} is no training folder of a {task}")
    description = read_config(folder)
    if description.get("task") != task:
        raise UserError(f"{folder}: holds a {description.get('task')}, wanted a {task}")
    return description


def _describe(task: Kind, mel: LogMelConfig, model: VocoderConfig | MelDecoderConfig) -> dict[str, Any]:
    return {"task": task, "mel": asdict(mel), "model": asdict(model)}


def _start(modules: dict[str, nn.Module], given: Sections) -> None:
    """Takes starting weights from the training folder `init_from`, unless the output folder has a run to go on with.

    A module that the earlier run had not (a discriminator) keeps its random start.
    """
    initial = given.build(str | None, "init_from")  # type: ignore[arg-type]
    if initial is None or (given.output / "checkpoint").exists():
        return
    states = load_modules(Path(initial))
    for name in set(modules) & set(states):
        try:
            modules[name].load_state_dict(states[name])
        except RuntimeError as error:
            raise UserError(f"init_from: {name} in {initial} has other sizes than this configuration") from error


def _recordings(given: Sections, sample_rate: int) -> tuple[list[Recording], list[Recording], Path]:
    """Recordings to train on and to validate on, and the folder for what is computed from them."""
    data = given.build(RecordingsConfig, "data")
    training, validation, _ = split_recordings(load_recordings(data, sample_rate), data.split)
    return training, validation, Path(data.cache)


def _options(given: Sections, kind: type[Options], sections: Mapping[str, type[Any]]) -> Options:
    """The `training` section with the other sections that belong to the same dataclass."""
    nested = {name: given.build(section, name) for name, section in sections.items()}
    return build(kind, {**(given.values.get("training") or {}), **nested}, f"{given.place}, training")


def _train_vocoder(given: Sections) -> dict[str, float]:
    sections = {"mel": LogMelConfig, "model": VocoderConfig, "adversarial": AdversarialConfig}
    options, loop = _options(given, VocoderTraining, sections), given.build(LoopConfig, "loop")
    torch.manual_seed(loop.seed)
    training, validation, cache = _recordings(given, options.mel.sample_rate)
    mels = None
    if "aligned" in given.values:
        mels = _aligned_mels(given.build(Aligned, "aligned"), training + validation, cache)
        training = [recording for recording in training if recording.name in mels]
        validation = [recording for recording in validation if recording.name in mels]
    task = VocoderTask(options, training, validation, mels)
    _start(task.modules, given)
    return run(task, loop, given.output, _describe("vocoder", options.mel, options.model), given.values)


def _aligned_mels(aligned: Aligned, recordings: list[Recording], cache: Path) -> dict[str, Tensor]:
    decoder = load_mel_decoder(Path(aligned.mel_decoder))
    options = MelDecoderTraining(model=decoder.config, mel=decoder.mel)
    tokens = read_tokens(Path(aligned.tokens), decoder.config.units)
    return predicted_mels(decoder, load_utterances(recordings, tokens, options, cache))


def _train_mel_decoder(given: Sections) -> dict[str, float]:
    sections = {"mel": LogMelConfig, "model": MelDecoderConfig, "pitch": PitchConfig}
    options, loop = _options(given, MelDecoderTraining, sections), given.build(LoopConfig, "loop")
    torch.manual_seed(loop.seed)
    training, validation, cache = _recordings(given, options.mel.sample_rate)
    tokens = read_tokens(Path(given.build(str, "tokens")), options.model.units)
    sets = [load_utterances(part, tokens, options, cache) for part in (training, validation)]
    task = MelDecoderTask(options, sets[0], sets[1])
    if (path := given.build(str | None, "centroids")) is not None:  # type: ignore[arg-type]
        decoder = task.modules["mel_decoder"]
        assert isinstance(decoder, MelDecoder)
        decoder.take_centroids(read_centroids(path))
    _start(task.modules, given)
    return run(task, loop, given.output, _describe("mel-decoder", options.mel, options.model), given.values)
