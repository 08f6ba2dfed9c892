"""`spear-accel accelerate`: a trained voice made fast, without its training data."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from spear_accel.cli import console
from spear_accel.errors import UserError

_TRAINING = ("accelerate", "matplotlib", "optuna")


def accelerate(
    voice: Annotated[Path, typer.Argument(help="Voice folder; it is replaced when all is done.")],
    text: Annotated[str, typer.Option(help="Sentences, one a line ('-': stdin); a few thousand are good.")],
    minutes: Annotated[float, typer.Option(help="About how long the whole may take.")] = 50.0,
    heads: Annotated[
        str | None, typer.Option(help="Kinds to train; the usual ones that the voice lacks if left out.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of each run, instead of minutes.")] = None,
    utterances: Annotated[int, typer.Option(help="Most that the voice speaks to learn from.")] = 8000,
    batch_sizes: Annotated[str, typer.Option(help="Of the report.")] = "1,8,32",
    report: Annotated[
        Path | None, typer.Option(help="Folder of the report; VOICE.accelerate/report if left out.")
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Working folder; VOICE.accelerate if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Of samples and training.")] = 0,
) -> None:
    """Train draft heads on the voice's own samples, measure every method, keep the best. Stop it and go on at will."""
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
    told = report or folder / "report"
    try:
        records = run(str(place), lines, plan, folder, told, name, console.say)
    except KeyboardInterrupt as error:
        raise UserError("stopped; the same command goes on from here") from error
    for record in records:
        if record.method == "auto":
            console.say(f"batch size {record.batch_size}: {record.speedup:.2f} times as fast, by {record.method_used}")
    console.say(f"report: {told / 'report.md'}")


def _check_installed() -> None:
    missing = [name for name in _TRAINING if find_spec(name) is None]
    if missing:
        raise UserError(
            f"accelerate needs {', '.join(missing)}; install it with: pip install 'spear-accel[train]'"
        )  # fmt: skip
