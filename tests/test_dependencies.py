"""Every import of an outside package is declared, in the base or in the extra of its room, and every one is used."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"yaml": "pyyaml", "sklearn": "scikit-learn", "_soundfile_data": "soundfile", "pydantic_core": "pydantic"}
NAMES |= {"starlette": "fastapi", "anyio": "fastapi"}
NAMES |= {name.replace("-", "_"): name for name in ("faster-whisper", "moonshine-voice", "whisper-normalizer")}
"""Distributions that are not called like the module; those of pydantic_core, starlette and anyio come with others."""
EXTRAS = {
    "spear_accel/training": {"train"},
    "spear_accel/accelerate": {"train"},
    "spear_accel/bench": {"train", "peers"},
    "spear_accel/audio": {"fairseq2", "train"},
    "spear_accel/text": {"hugging-face"},
    "spear_accel/voice": {"hub"},
    "spear_accel/synth": {"ray", "lhotse"},
    "spear_accel/server": {"serve"},
    "spear_accel/cli": {"train", "serve"},
    "recipes": {"train", "eval", "judges", "hub", "peers"},
}
"""Extras beside the base that a room may import; all others import the base alone."""
BY_NAME = {"tensorboard", "wandb", "websockets"}
"""Packages that accelerate loads when its tracker of that name is asked for, and uvicorn for a WebSocket."""


def declared() -> dict[str, set[str]]:
    """Distributions of the base ("") and of each extra, read from setup.py without running it."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    lists: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List) and isinstance(node.targets[0], ast.Name):
            lists[node.targets[0].id] = _evaluated(node.value, lists)
    [call] = [node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    extras = keywords["extras_require"]
    assert isinstance(extras, ast.Dict)
    found = {"": _evaluated(keywords["install_requires"], lists)}
    for name, value in zip(extras.keys, extras.values, strict=True):
        assert isinstance(name, ast.Constant)
        found[str(name.value)] = _evaluated(value, lists)
    return {extra: {re.split(r"[<>=!\[; ]", one)[0].lower() for one in given} for extra, given in found.items()}


def _evaluated(node: ast.expr, lists: dict[str, list[str]]) -> list[str]:
    found: list[str] = eval(compile(ast.Expression(node), "setup.py", "eval"), {}, lists)
    return found


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Distributions that a file imports anywhere: no standard library, no project, no `my_stage` of a test."""
    own = {"spear_accel", "tests", "recipes", "my_stage", *(other.stem for other in sources("recipes"))}
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add((node.module or "").split(".")[0])
    outside = modules - own - set(sys.stdlib_module_names)
    return {NAMES.get(name, name).lower() for name in outside}


def test_every_import_is_declared_for_its_room() -> None:
    lists, wrong = declared(), []
    for path in [*sources("spear_accel"), *sources("recipes")]:
        place = path.relative_to(ROOT).as_posix()
        extras = set().union(*(extras for room, extras in EXTRAS.items() if place.startswith(f"{room}/")))
        allowed = lists[""].union(*(lists.get(extra, set()) for extra in extras))
        if undeclared := imported(path) - allowed:
            wrong.append(f"{place}: {', '.join(sorted(undeclared))}")
    assert not wrong, "\n".join(wrong)


def test_every_import_of_the_tests_is_declared_for_development() -> None:
    lists = declared()
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources("tests")
        for name in imported(path) - lists[""] - lists["dev"]
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_every_declared_package_is_imported() -> None:
    used = set().union(*(imported(path) for folder in ("spear_accel", "recipes") for path in sources(folder)))
    for extra, packages in declared().items():
        if extra != "dev":
            assert not packages - used - BY_NAME, f"extra {extra!r}: {', '.join(sorted(packages - used))}"
