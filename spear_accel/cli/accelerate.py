"""`spear-accel accelerate`: a trained voice made fast, without its training data."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from spear_accel.cli import console
from spear_accel.errors import UserError

_TRAINING = ("accelerate", "matplotlib", "optuna", "yaml")


def accelerate(
    voice: Annotated[
        Path, typer.Argument(help="Path of the voice folder; the finished, faster voice takes its place.")
    ],
    text: Annotated[
        str, typer.Option(help="File of sentences, one a line ('-': standard input); a few thousand are good.")
    ],
    minutes: Annotated[float, typer.Option(help="Minutes that the whole may take, roughly.")] = 50.0,
    heads: Annotated[
        str | None,
        typer.Option(help="Comma-separated kinds of draft heads to train.", show_default="those the voice lacks"),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Training steps of each head, for any time.", show_default="by minutes"),
    ] = None,
    utterances: Annotated[
        int, typer.Option(help="Utterances that the voice speaks, at most, as training data of the heads.")
    ] = 8000,
    batch_sizes: Annotated[str, typer.Option(help="Comma-separated batch sizes that the report measures.")] = "1,8,32",
    report: Annotated[
        Path | None, typer.Option(help="Folder of the report.", show_default="VOICE.accelerate/report")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder of unfinished work.", show_default="VOICE.accelerate")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of samples and training.")] = 0,
) -> None:
    """Train draft heads on the voice's own samples, measure every method and keep the best.

    Can be interrupted; the same command resumes.
    """
    from spear_accel.cli import inputs
    from spear_accel.kernels import threads

    if not voice.is_dir():
        raise UserError(f"{voice}: no such voice folder; copy a shipped voice first, for the folder is changed")
    name = "standard input" if text == "-" else text
    lines = inputs.read_text(text).splitlines()
    _check_installed()
    threads.apply()
    from spear_accel.accelerate import AcceleratePlan
    from spear_accel.accelerate import accelerate as run

    sizes = [inputs.whole("--batch-sizes", item, 1) for item in inputs.items("--batch-sizes", batch_sizes)]
    plan = AcceleratePlan(
        minutes=minutes, steps=steps, utterances=utterances, seed=seed, batch_sizes=tuple(sizes),
        heads=None if heads is None else tuple(inputs.items("--heads", heads)),
    )  # fmt: skip
    place = voice.resolve()
    folder = work or place.with_name(place.name + ".accelerate")
    report_folder = report or folder / "report"
    with console.resumable():
        records = run(str(place), lines, plan, folder, report_folder, name, console.say)
    for record in records:
        if record.method == "auto":
            console.say(f"batch size {record.batch_size}: {record.speedup:.2f} times as fast, by {record.method_used}")
    console.say(f"report: {report_folder / 'report.md'}")


def _check_installed() -> None:
    missing = [name for name in _TRAINING if find_spec(name) is None]
    if missing:
        raise UserError(
            f"accelerate needs {', '.join(missing)}; install it with: pip install 'spear-accel[train]'"
        )  # fmt: skip
