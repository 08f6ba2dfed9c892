"""A recipe on disk: its inputs, its layered YAML settings, the figures that steps found, and which steps are done.

Knows files and values. Does not know what the steps do.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["Recipe", "Step", "run_steps"]

HERE = Path(__file__).parent
_SECTIONS = ("data", "split", "speech_tokenizer", "tokenize", "text", "train", "voice", "tune")


@dataclass(frozen=True)
class Recipe:
    """Everything that steps need to know."""

    corpus: Path
    """The recordings in LJSpeech layout, as the user gave them."""
    work: Path
    """Where all steps keep what they make."""
    output: Path
    """Where the folder of the voice goes."""
    config: Path = HERE
    """Folder whose YAML files take the place of those beside this module."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Further files and folders that a configuration asks for, by name."""
    smoke: bool = False
    """Whether `smoke.yaml` makes everything small."""
    name: str | None = None
    """Name of the voice; None: as the settings say."""

    @property
    def settings(self) -> dict[str, Any]:
        """`settings.yaml`, with the values of `smoke.yaml` in a smoke run; every `$NAME` is left as it is.

        Raises:
            UserError: The file is missing, no YAML, or lacks a section.
        """
        source = self._beside("settings.yaml")
        found = _merged(_read(source), self._smoke("settings"))
        missing = [name for name in _SECTIONS if name not in found]
        if missing:
            raise UserError(f"{source}: lacks the section {', '.join(missing)}")
        return found if self.name is None else _merged(found, {"voice": {"name": self.name}})

    @property
    def clean_corpus(self) -> Path:
        """The recordings that can be used, as links, in LJSpeech layout."""
        return self.work / "corpus"

    @property
    def voice(self) -> Path:
        """The folder of the voice."""
        return self.output / str(self.settings["voice"]["name"])

    def manifest(self, name: str) -> Path:
        """A JSONL file of recordings: `id`, `audio`, `text`."""
        return self.work / "manifests" / f"{name}.jsonl"

    def tokens(self, name: str) -> Path:
        """A JSONL file of tokenized recordings."""
        return self.work / "tokens" / f"{name}.jsonl"

    def pairs(self, name: str) -> Path:
        """A JSONL file of text ids and tokens."""
        return self.work / "pairs" / f"{name}.jsonl"

    def figures(self) -> dict[str, Any]:
        """What steps found out and settings ask for as `$NAME`."""
        path = self.work / "figures.json"
        return files.read_json(path) if path.exists() else {}

    def note(self, **figures: float | str) -> None:
        """Add figures to those that are known."""
        files.write_json(self.work / "figures.json", {**self.figures(), **figures})

    def run_file(self, name: str) -> Path:
        """The settings file of a training run, every `$NAME` filled in, written into the working folder.

        Raises:
            UserError: There is no such file, or it asks for a name that nobody has set.
        """
        path = self.work / "settings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, yaml.safe_dump(self._values(name), sort_keys=False))
        return path

    def run_folder(self, name: str) -> Path:
        """The output folder of a training run."""
        return Path(self._values(name)["output"])

    def card(self) -> Path:
        """The text for people that goes into the voice."""
        return self._beside("model_card.md")

    def filled(self, values: Any, source: Path) -> Any:
        """Values with every `$NAME` replaced by what is known; `source` says in errors where they stand."""
        variables = {"WORK": str(self.work), "CORPUS": str(self.clean_corpus), "CONFIG": str(self.config)}
        variables |= self.figures()
        variables |= {key.upper(): str(path) for key, path in self.inputs.items()}
        return _filled(values, variables, source)

    def _values(self, name: str) -> dict[str, Any]:
        source = self._beside(f"{name}.yaml")
        changes = _merged(self._smoke("every_run"), self._smoke(name))
        values: dict[str, Any] = self.filled(_merged(_read(source), changes), source)
        return values

    def _smoke(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = _read(HERE / "smoke.yaml").get(section, {}) if self.smoke else {}
        return found

    def _beside(self, name: str) -> Path:
        return self.config / name if (self.config / name).exists() else HERE / name


@dataclass(frozen=True)
class Step:
    """A part of a recipe that is done once. Killed, it goes on or begins again without harm."""

    name: str
    what: str
    work: Callable[[Recipe], None]


def run_steps(recipe: Recipe, steps: Iterable[Step], first: str | None = None, only: str | None = None) -> None:
    """Do the steps that are not done, in order.

    Args:
        recipe: The recipe.
        steps: All of its steps.
        first: Do this step and all after it, done or not.
        only: Do this step alone, done or not.
    """
    steps = tuple(steps)
    names = [step.name for step in steps]
    stamp = recipe.work / "done.json"
    done = set(files.read_json(stamp)["steps"]) if stamp.exists() else set()
    if first is not None:
        done -= set(names[names.index(first) :])
    for step in steps:
        if step.name == only or (only is None and step.name not in done):
            print(f"== {step.name}: {step.what}", file=sys.stderr, flush=True)
            step.work(recipe)
            done.add(step.name)
            files.write_json(stamp, {"steps": [name for name in names if name in done]})


def _read(path: Path) -> dict[str, Any]:
    """A YAML file as it is written, `$NAME` included."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping of sections, found {type(values).__name__}")
    return values


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes`, mapping by mapping."""
    both = dict(values)
    for key, change in changes.items():
        if isinstance(change, Mapping) and isinstance(both.get(key), Mapping):
            both[key] = _merged(both[key], change)
        else:
            both[key] = change
    return both


def _filled(value: Any, variables: Mapping[str, Any], source: Path) -> Any:
    """`value` with every `$NAME` replaced; a text that is one name alone becomes that value, a number stays one."""
    if isinstance(value, Mapping):
        return {key: _filled(inner, variables, source) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, variables, source) for inner in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        whole = variables.get(value[1:]) if value.startswith("$") else None
        return string.Template(value).substitute(variables) if whole is None else whole
    except (KeyError, ValueError) as error:
        known = ", ".join(variables)
        raise UserError(f"{source}: {value!r} asks for a name that is not set; known are {known}") from error
