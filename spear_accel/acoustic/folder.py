"""The `acoustic` folder of a voice: `config.json` and `model.safetensors`.

Weights are stored in half precision and loaded as float32. Knows files and the networks' configs. Does not know stages.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from spear_accel.acoustic.mel import LogMelConfig
from spear_accel.acoustic.mel_decoder import MelDecoder, MelDecoderConfig
from spear_accel.acoustic.vocoder import Vocoder, VocoderConfig
from spear_accel.checks import check_fields
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.fitting import build_to_fit
from spear_accel.storage.weights import CONFIG, WEIGHTS, read_tensors, tensors_of, write_tensors

FORMAT = 1

Config = TypeVar("Config")


def write_parts(folder: Path, stage: str, mel_decoder: MelDecoder, vocoder: Vocoder | None) -> None:
    """Writes both files, the weights in half precision; `stage` is the name that reading the folder will look up."""
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "format": FORMAT,
        "stage": stage,
        "mel": dataclasses.asdict(mel_decoder.mel),
        "mel_decoder": dataclasses.asdict(mel_decoder.config),
    }
    weights = _prefixed(mel_decoder, "mel_decoder.")
    if vocoder is not None:
        config["vocoder"] = dataclasses.asdict(vocoder.config)
        weights |= _prefixed(vocoder, "vocoder.")
    write_tensors(folder / WEIGHTS, weights, half=True)
    files.write_json(folder / CONFIG, config)


def read_config(folder: Path) -> dict[str, Any]:
    """Reads `config.json`.

    Raises:
        UserError: It is missing, no JSON object, or of another format version.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{path}: no such file; an acoustic folder holds {CONFIG} and {WEIGHTS}")
    config = files.read_json(path)
    if config.get("format") != FORMAT:
        raise UserError(
            f"{path}: format is {config.get('format')!r}, this version reads {FORMAT}; make the voice again"
        )
    return config


def read_parts(folder: Path) -> tuple[MelDecoder, Vocoder | None]:
    """Reads the networks of an acoustic folder, float32 and in evaluation mode; None where it holds no vocoder.

    Raises:
        UserError: A file is missing or corrupt, or the weights do not fit the configuration.
    """
    config = read_config(folder)
    path = folder / CONFIG
    mel = _section(LogMelConfig, config, "mel", path)
    decoder_config = _section(MelDecoderConfig, config, "mel_decoder", path)
    vocoder_config = _section(VocoderConfig, config, "vocoder", path) if config.get("vocoder") else None

    def make() -> nn.ModuleDict:
        parts: dict[str, nn.Module] = {"mel_decoder": MelDecoder(decoder_config, mel)}
        if vocoder_config is not None:
            parts["vocoder"] = Vocoder(vocoder_config, mel)
        return nn.ModuleDict(parts)

    found = build_to_fit(make, read_tensors(folder / WEIGHTS), f"{folder / WEIGHTS} does not fit {CONFIG}").eval()
    return cast(MelDecoder, found["mel_decoder"]), cast(Vocoder, found["vocoder"]) if "vocoder" in found else None


def _prefixed(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors_of(module).items()}


def _section(kind: type[Config], config: dict[str, Any], name: str, path: Path) -> Config:
    if not isinstance(config.get(name), dict):
        raise UserError(f"{path}: section {name!r} is missing")
    check_fields(kind, config[name], f"{path}: section {name!r}")
    try:
        return kind(**config[name])
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: section {name!r}: {error}") from error
