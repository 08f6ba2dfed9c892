"""Finding the acoustic stage of a voice folder by name: shipped stages, and those of other packages.

Another package offers a stage by the entry point group `spear_accel.acoustic`: name -> a callable that takes the
`acoustic` folder and returns an `AcousticStage`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from spear_accel.acoustic.folder import read_config
from spear_accel.acoustic.stage import AcousticStage, GriffinLimStage, NeuralAcousticStage
from spear_accel.errors import UserError
from spear_accel.storage.entry_points import load_entry

GROUP = "spear_accel.acoustic"

StageLoader = Callable[[Path], AcousticStage]

_SHIPPED: dict[str, StageLoader] = {
    NeuralAcousticStage.name: NeuralAcousticStage.from_folder,
    GriffinLimStage.name: GriffinLimStage.from_folder,
}


def _offered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def stage_names() -> list[str]:
    """Names of all stages that can be loaded here."""
    return sorted({*_SHIPPED, *_offered()})


def save_stage(stage: NeuralAcousticStage | GriffinLimStage, folder: Path | str) -> None:
    """Write the `acoustic` folder of a shipped stage."""
    stage.save(Path(folder))


def load_stage(folder: Path | str, name: str | None = None) -> AcousticStage:
    """Load the stage of an `acoustic` folder; `name` takes the place of the one in its `config.json`.

    Raises:
        UserError: The folder is damaged, no stage has that name, or the package that offers it cannot be imported.
    """
    folder = Path(folder)
    name = name or str(read_config(folder).get("stage"))
    if name in _SHIPPED:
        return _SHIPPED[name](folder)
    offered = _offered()
    if name not in offered:
        raise UserError(
            f"{folder}: acoustic stage {name!r} is unknown; there are {', '.join(stage_names())}. "
            f"Install the package that offers it under the entry point group {GROUP}"
        )
    loader: StageLoader = load_entry(offered[name], f"acoustic stage {name!r}")
    return loader(folder)
