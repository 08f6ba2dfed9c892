"""Settings of a training run: a YAML file, whose names, types and bounds are checked before anything starts.

Knows dataclasses and YAML. Does not know what is trained.
"""

from __future__ import annotations

import dataclasses
import os
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from spear_accel.errors import UserError

__all__ = [
    "AtLeastOne",
    "NotNegative",
    "NotNegativeInt",
    "Positive",
    "Sections",
    "Settings",
    "Share",
    "Strings",
    "build",
    "read_sections",
    "read_settings",
]

T = TypeVar("T")
Settings = Path | str | Mapping[str, Any]
"""A YAML file, or what it would hold."""
Strings = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]
"""One string, or a list of them."""
AtLeastOne = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0.0)]
NotNegativeInt = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
"""From 0 to below 1."""
_LONGEST = 60


def read_settings(
    source: Settings, required: Iterable[str], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Reads the mapping in a YAML file, or takes it as it is given.

    Args:
        source: The file, or its content.
        required: Sections that must be there.
        variables: Values for `$NAME` in the file, over those of the environment.

    Raises:
        UserError: The file cannot be read, is not a YAML mapping, names an unset variable, or lacks a section.
    """
    place = _name(source)
    given = {**os.environ, **(variables or {})}
    settings = dict(source) if isinstance(source, Mapping) else _parsed(Path(source), given)
    if not isinstance(settings, dict):
        raise UserError(f"{place}: expected a mapping of sections, found {type(settings).__name__}")
    missing = [name for name in required if name not in settings]
    if missing:
        raise UserError(f"{place}: lacks the section {', '.join(missing)}")
    return settings


@dataclasses.dataclass(frozen=True)
class Sections:
    """The sections of a training run's settings, before their types are checked."""

    place: str
    """Names the file in errors."""
    values: Mapping[str, Any]

    def build(self, kind: type[T], name: str) -> T:
        """The section `name`, empty if it is not there, as `build` makes it."""
        return build(kind, self.values.get(name), f"{self.place}, {name}")

    @property
    def output(self) -> Path:
        """The folder for checkpoints and log."""
        return Path(self.build(str, "output"))


def read_sections(source: Settings, required: Iterable[str], optional: Iterable[str] = ()) -> Sections:
    """Reads the settings of a training run; those of every run have an `output` folder and a `loop`.

    Raises:
        UserError: As `read_settings`, or a section is unknown.
    """
    required = (*required, "loop", "output")
    values = read_settings(source, required)
    known = {*required, *optional}
    unknown = ", ".join(str(name) for name in values if name not in known)
    if unknown:
        raise UserError(f"{_name(source)}: unknown section {unknown}; there are {', '.join(sorted(known))}")
    return Sections(_name(source), values)


def build(kind: type[T], values: Any, place: str) -> T:
    """Makes a value of a type, usually a dataclass, from a section of a YAML file.

    Numbers may be written as strings, as YAML 1.1 reads `1e-3`; lists become tuples; sections inside a section become
    dataclasses.

    Args:
        kind: The type.
        values: What YAML read; an empty section is an empty mapping.
        place: Names the file and the section for errors, for example `run.yaml, loop`.

    Raises:
        UserError: Settings are unknown, missing, of another type or out of bounds; every one is named with its place.
    """
    given = {} if values is None and dataclasses.is_dataclass(kind) else values
    if faults := list(_truths(kind, given, place)):
        raise UserError("; ".join(faults))
    try:
        return TypeAdapter(kind).validate_python(given, extra="forbid")
    except ValidationError as error:
        raise UserError("; ".join(_faults(error.errors(include_url=False), kind, place))) from error


def _truths(kind: Any, given: Any, place: str) -> Iterator[str]:
    """Truth values where a number belongs: YAML reads `yes` and `on` as one, and Python would count it as 1."""
    if not dataclasses.is_dataclass(kind) or not isinstance(given, Mapping):
        return
    for name, hint in get_type_hints(kind).items():
        value = given.get(name)
        if isinstance(value, bool) and not _takes_truth(hint):
            yield f"{place}.{name} is {value!r}; it should be no truth value (YAML reads yes and on as true)"
        for inner in _dataclasses_in(hint):
            yield from _truths(inner, value, f"{place}.{name}")


def _takes_truth(hint: Any) -> bool:
    return hint in (bool, Any) or any(_takes_truth(part) for part in get_args(hint))


def _name(source: Settings) -> str:
    return "settings" if isinstance(source, Mapping) else str(source)


def _parsed(path: Path, variables: Mapping[str, str]) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return yaml.safe_load(string.Template(path.read_text(encoding="utf-8")).substitute(variables))
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except KeyError as error:
        raise UserError(f"{path}: the variable {error.args[0]} is not set; set it in the environment") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    except ValueError as error:
        raise UserError(f"{path}: a $ without a name ({error}); write $$ for the character itself") from error


def _faults(errors: Sequence[ErrorDetails], kind: Any, place: str) -> Iterator[str]:
    """One phrase for each fault; names that are unknown or missing in one section come together."""
    grouped: dict[tuple[str, tuple[int | str, ...]], list[str]] = {}
    for error in errors:
        if error["type"] in _NAMED:
            grouped.setdefault((error["type"], error["loc"][:-1]), []).append(str(error["loc"][-1]))
        else:
            yield _fault(error, _joined(place, error["loc"]))
    for (fault, section), names in grouped.items():
        where, listed = _joined(place, section), ", ".join(names)
        if fault in _MISSING:
            yield f"{where}: setting {listed} is missing"
        else:
            yield f"{where}: unknown setting {listed}; known are {', '.join(_known(kind, section))}"


_MISSING = ("missing", "missing_argument")
_NAMED = (*_MISSING, "unexpected_keyword_argument", "extra_forbidden")


def _fault(error: ErrorDetails, where: str) -> str:
    if error["type"] in ("value_error", "assertion_error"):
        return f"{where}: {error['ctx']['error']}"
    wanted, given = error["msg"], repr(error["input"])
    if error["type"].startswith("dataclass"):
        wanted = "Input should be a mapping"
    elif error["type"].endswith("_parsing"):
        wanted = wanted.split(",")[0]
    shown = given if len(given) <= _LONGEST else f"{given[:_LONGEST]}..."
    return f"{where} is {shown}; {wanted.replace('Input', 'it', 1)}"


def _joined(place: str, keys: Sequence[int | str]) -> str:
    return place + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)


def _known(kind: Any, section: Sequence[int | str]) -> list[str]:
    """The fields of the dataclass at the end of the path `section` inside the dataclass `kind`."""
    for key in section:
        if not isinstance(key, int):
            kind = next(_dataclasses_in(get_type_hints(kind)[key]))
    return [field.name for field in dataclasses.fields(kind)]


def _dataclasses_in(hint: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from _dataclasses_in(part)
