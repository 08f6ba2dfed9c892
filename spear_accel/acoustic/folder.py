"""The ``acoustic`` folder of a voice: ``config.json`` and ``model.safetensors``.

Weights are stored in half precision and loaded as float32. Knows files and the networks' configs. Does not know stages.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spear_accel.acoustic.mel import LogMelConfig
from spear_accel.acoustic.mel_decoder import MelDecoder, MelDecoderConfig
from spear_accel.acoustic.vocoder import Vocoder, VocoderConfig
from spear_accel.errors import UserError

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"

Config = TypeVar("Config")


def write_parts(folder: Path, stage: str, mel_decoder: MelDecoder, vocoder: Vocoder | None) -> None:
    """Write both files, each through a temporary one. ``stage`` is the name that reading it back will look up."""
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "format": FORMAT,
        "stage": stage,
        "mel": dataclasses.asdict(mel_decoder.mel),
        "mel_decoder": dataclasses.asdict(mel_decoder.config),
    }
    weights = _half(mel_decoder, "mel_decoder.")
    if vocoder is not None:
        config["vocoder"] = dataclasses.asdict(vocoder.config)
        weights |= _half(vocoder, "vocoder.")
    save_file(weights, folder / f"{WEIGHTS}.part")
    (folder / f"{WEIGHTS}.part").replace(folder / WEIGHTS)
    (folder / f"{CONFIG}.part").write_text(json.dumps(config, indent=2) + "\n")
    (folder / f"{CONFIG}.part").replace(folder / CONFIG)


def read_config(folder: Path) -> dict[str, Any]:
    """The content of ``config.json``.

    Raises:
        UserError: It is missing, no JSON object, or of another format version.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{path}: no such file; an acoustic folder holds {CONFIG} and {WEIGHTS}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else None
        raise UserError(f"{path}: format is {found!r}, this version reads {FORMAT}; make the voice again")
    return config


def read_parts(folder: Path) -> tuple[MelDecoder, Vocoder | None]:
    """The networks of an acoustic folder, float32 and in evaluation mode; no vocoder where the folder has none.

    Raises:
        UserError: A file is missing or corrupt, or the weights do not fit the configuration.
    """
    config = read_config(folder)
    path = folder / CONFIG
    mel = _section(LogMelConfig, config, "mel", path)
    mel_decoder = MelDecoder(_section(MelDecoderConfig, config, "mel_decoder", path), mel)
    vocoder = Vocoder(_section(VocoderConfig, config, "vocoder", path), mel) if config.get("vocoder") else None
    weights = _read_weights(folder / WEIGHTS)
    _fill(mel_decoder, weights, "mel_decoder.", folder / WEIGHTS)
    if vocoder is not None:
        _fill(vocoder, weights, "vocoder.", folder / WEIGHTS)
    return mel_decoder.eval(), None if vocoder is None else vocoder.eval()


def _half(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value.detach().cpu().half().contiguous() for name, value in module.state_dict().items()}


def _section(kind: type[Config], config: dict[str, Any], name: str, path: Path) -> Config:
    try:
        return kind(**config[name])
    except KeyError:
        raise UserError(f"{path}: section {name!r} is missing") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: section {name!r}: {error}") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; copy the whole voice folder")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file, or cut short ({error})") from error


def _fill(module: nn.Module, weights: dict[str, Tensor], prefix: str, path: Path) -> None:
    """Load the weights under ``prefix``; every missing, surplus or misshapen one is named at once."""
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    problems = [f"lacks {prefix}{name}" for name in wanted if name not in own]
    problems += [f"has surplus {prefix}{name}" for name in own if name not in wanted]
    problems += [
        f"{prefix}{name} is {list(own[name].shape)}, expected {list(wanted[name].shape)}"
        for name in wanted
        if name in own and own[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(f"{path} does not fit {CONFIG}: {'; '.join(problems[:3])}{more}")
    module.load_state_dict({name: value.to(torch.float32) for name, value in own.items()})
