"""Which package may import which: read from the source, so that a forbidden import cannot slip in."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import spear_accel

PACKAGE = Path(spear_accel.__file__).parent
LEAVES = ("model", "text", "speech", "acoustic")
ALLOWED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(LEAVES, ()),
    "heads": ("model",),
    "decoding": ("model", "heads"),
    "data": ("text", "speech"),
    "io": ("model", "heads", "text", "speech", "acoustic"),
    "training": ("data", "heads", "model", "acoustic", "speech", "text", "io", "decoding"),
    "spoken": ("decoding", "text"),
    "streaming": ("spoken", "decoding", "acoustic", "text"),
    "decoding_settings": ("decoding", "io"),
    "utterance_decoder": ("decoding", "text", "model"),
    "pipeline": (
        *("decoding_settings", "utterance_decoder", "spoken", "streaming"),
        *("decoding", "text", "acoustic", "io", "model", "heads"),
    ),
    "accelerate": ("pipeline", "bench", "training", "decoding", "io", "model", "heads"),
    "synth": ("pipeline", "decoding_settings", "decoding", "io", "text"),
    "bench": ("pipeline", "decoding", "io", "text", "model", "heads"),
}
EVERYWHERE = ("errors", "plugins", "projection")


def imported(path: Path) -> set[str]:
    """Full names of the spear_accel modules and of the outside packages that a file imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            # `from spear_accel import io` names a package too.
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "spear_accel" else {module}
    return found


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_what_its_package_may(path: Path) -> None:
    own = package_of(path)
    if own in ("cli", "__init__"):
        return
    assert own in ALLOWED or own in EVERYWHERE, f"{own} is not in the list of packages"
    reached = {name.split(".")[1] for name in imported(path) if name.startswith("spear_accel.")}
    assert reached <= {own, *EVERYWHERE, *ALLOWED.get(own, ())}


def test_verification_rules_never_see_a_model() -> None:
    for path in (PACKAGE / "decoding/verify").glob("*.py"):
        assert not {name for name in imported(path) if name.startswith(("spear_accel.model", "spear_accel.heads"))}


def test_only_the_speech_encoder_imports_fairseq2() -> None:
    users = {str(path.relative_to(PACKAGE)) for path in SOURCES if any("fairseq2" in name for name in imported(path))}
    assert users <= {"speech/encoder.py"}


def test_nothing_imports_the_command_line_or_the_recipes() -> None:
    for path in SOURCES:
        if package_of(path) != "cli":
            assert not {name for name in imported(path) if name.startswith(("spear_accel.cli", "recipes"))}
