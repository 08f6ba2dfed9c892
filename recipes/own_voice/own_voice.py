"""From recordings in LJSpeech layout to a voice that speaks: one command, which goes on where it was stopped.

    python recipes/own_voice/own_voice.py --corpus FOLDER --work WORK --output VOICES [--name NAME] [--smoke]

README.md beside this file lists the steps and how long they take.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import recordings
from recipe import HERE, Recipe, run_steps
from steps import steps

from spear_accel.errors import UserError
from spear_accel.storage import files, folders, identity
from spear_accel.voice.folder import ACOUSTIC, SPEECH_TOKENIZER, VoiceFolder, open_voice

__all__ = ["main"]


def main(
    arguments: Sequence[str] | None = None,
    data: Callable[[Recipe], None] = recordings.data,
    config: Path = HERE,
    inputs: Mapping[str, str] | None = None,
) -> int:
    """Run the recipe, or a configuration of it.

    Args:
        arguments: The command line; that of this process by default.
        data: The configuration's own preparation of data.
        config: The folder of its YAML files; `--config` says otherwise.
        inputs: Further paths that its data need: option names and what they are.

    Returns:
        The exit code: 0, or 2 if the user can fix what is wrong.
    """
    extra = dict(inputs or {})
    given = _parser(extra, config, [step.name for step in steps()]).parse_args(arguments)
    try:
        recipe = Recipe(
            corpus=given.corpus.resolve(), work=given.work.resolve(), output=given.output.resolve(),
            config=given.config.resolve(), inputs={name: getattr(given, name).resolve() for name in extra},
            smoke=given.smoke, name=given.name,
        )  # fmt: skip
        _claim(recipe)
        base = None if given.base is None else open_voice(given.base)
        todo = [step for step in steps(data) if base is None or step.name not in ("encoder", "acoustic")]
        if base is not None:
            _take_over(base, recipe.work)
        run_steps(recipe, todo, given.first, given.only)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"spear-accel speak --voice {recipe.voice} 'Hello there.' -o hello.wav", file=sys.stderr)
    return 0


def _parser(inputs: Mapping[str, str], config: Path, names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="From recordings in LJSpeech layout to a voice that speaks.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with metadata.csv and wavs/ID.*")
    for name, what in inputs.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--work", type=Path, required=True, help="working folder; the same one goes on")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets the folder of the voice")
    parser.add_argument("--name", help="name of the voice (default: as the settings say)")
    parser.add_argument(
        "--config", type=Path, default=config, help="folder whose YAML files replace those of the recipe"
    )
    parser.add_argument("--base", help="take speech tokenizer and acoustic stage of this voice (default: train them)")
    parser.add_argument("--smoke", action="store_true", help="everything small: does it run? (speaks nothing useful)")
    parser.add_argument("--from", dest="first", choices=names, help="do this step and all after it again")
    parser.add_argument("--only", choices=names, help="do this step alone")
    return parser


def _claim(recipe: Recipe) -> None:
    """Make the working folder, or check that it is of the same recordings and size."""
    name = recipe.settings["voice"]["name"]
    files.make_folder(recipe.work, "name another --work")
    job = {"corpus": str(recipe.corpus), "smoke": recipe.smoke, "voice": name}
    identity.claim(recipe.work / "recipe.json", job, recipe.work / "done.json", "name another --work, or delete it")


def _take_over(base: VoiceFolder, work: Path) -> None:
    """Copy the parts of a voice that are not trained."""
    for part in (SPEECH_TOKENIZER, ACOUSTIC):
        if not (work / part).exists():
            source = base.part(part)
            with folders.replacing(work / part) as building:
                shutil.copytree(source, building, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
