"""`spear-accel train`: run a training task from its YAML file."""

from __future__ import annotations

import json
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from spear_accel.cli import console
from spear_accel.errors import UserError


class Task(str, Enum):
    """What can be trained."""

    SPEECH_TOKENIZER = "speech-tokenizer"
    SPEECH_QUANTISER = "speech-quantiser"
    PRONUNCIATION = "pronunciation"
    TEXT_TO_SEMANTIC = "text-to-semantic"
    HEADS = "heads"
    ACOUSTIC = "acoustic"


_MODULES = {
    Task.SPEECH_TOKENIZER: "speech_tokenizer",
    Task.SPEECH_QUANTISER: "speech_quantiser",
    Task.PRONUNCIATION: "pronunciation",
    Task.TEXT_TO_SEMANTIC: "text_to_semantic.train",
    Task.HEADS: "heads.train",
    Task.ACOUSTIC: "acoustic.train",
}


def train(
    task: Annotated[Task, typer.Argument(help="What to train: one part of a voice.")],
    config: Annotated[
        Path, typer.Argument(help="YAML file with the sections of the task; recipes/kathleen holds one of each kind.")
    ],
) -> None:
    """Train a part of a voice. A run that was killed resumes from its last checkpoint. Prints the last metrics."""
    if not config.is_file():
        raise UserError(f"{config}: no such file; the recipes hold examples")
    try:
        module = import_module(f"spear_accel.training.{_MODULES[task]}")
    except ModuleNotFoundError as error:
        raise UserError(f"training needs {error.name}; install it with: pip install 'spear-accel[train]'") from error
    with console.resumable():
        metrics = module.train(config)
    typer.echo(json.dumps(metrics))
