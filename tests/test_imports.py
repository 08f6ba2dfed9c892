"""Which package may import which: read from the source, so that a forbidden import cannot slip in."""

from __future__ import annotations

import ast
from pathlib import Path

import spear_accel

PACKAGE = Path(spear_accel.__file__).parent
ALLOWED: dict[str, tuple[str, ...]] = {
    "storage": (),
    "kernels": (),
    "native": (),
    "text": ("storage",),
    "audio": ("storage",),
    "acoustic": ("kernels", "storage"),
    "data": ("text", "audio", "storage"),
    "model": ("kernels", "native"),
    "heads": ("model", "kernels", "native", "storage"),
    "decoding": ("model", "heads", "kernels", "native", "storage"),
    "alignment": ("decoding", "model"),
    "timing": ("alignment", "model", "text", "storage"),
    "voice": (
        "timing",
        "alignment",
        "decoding",
        "text",
        "acoustic",
        "audio",
        "model",
        "heads",
        "kernels",
        "native",
        "storage",
    ),
    "importers": ("voice", "text", "model", "heads", "storage"),
    "training": ("voice", "data", "decoding", "heads", "model", "acoustic", "audio", "text", "storage"),
    "bench": ("voice", "decoding", "model", "native", "text", "storage"),
    "accelerate": ("bench", "training", "voice", "decoding", "heads", "model", "kernels", "storage"),
    "server": ("voice", "timing", "decoding", "text", "audio"),
    "synth": ("kernels", "voice", "timing", "alignment", "decoding", "text", "audio", "storage"),
}
"""What each room may import, from the bottom up; a room imports only rooms above it in this list."""
EVERYWHERE = ("checks", "errors")


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


def test_a_room_imports_only_what_it_may() -> None:
    wrong = []
    for path in SOURCES:
        own = package_of(path)
        if own in ("cli", "__init__", "__main__"):
            continue
        reached = {name.split(".")[1] for name in imported(path) if name.startswith("spear_accel.")}
        if forbidden := reached - {own, *EVERYWHERE, *ALLOWED.get(own, ())}:
            wrong.append(f"{path.relative_to(PACKAGE)}: {', '.join(sorted(forbidden))}")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_in_the_list_and_the_list_has_no_circle() -> None:
    assert {package_of(path) for path in SOURCES} == {*ALLOWED, *EVERYWHERE, "cli", "__init__", "__main__"}
    rooms = list(ALLOWED)
    for room, others in ALLOWED.items():
        assert all(rooms.index(other) < rooms.index(room) for other in others), room


def test_verification_rules_never_see_a_model() -> None:
    for path in (PACKAGE / "decoding/verify").glob("*.py"):
        assert not {name for name in imported(path) if name.startswith(("spear_accel.model", "spear_accel.heads"))}


def test_only_the_audio_encoder_imports_fairseq2() -> None:
    """Before an import of fairseq2 somebody must have loaded libsndfile, which many systems lack."""
    root = PACKAGE.parent
    files = [*SOURCES, *(root / "recipes").rglob("*.py"), *(root / "tests").rglob("*.py")]
    users = {
        str(path.relative_to(root))
        for path in files
        if any("fairseq2" in name for name in imported(path)) or 'importorskip("fairseq2' in path.read_text()
    }
    assert users == {"spear_accel/audio/encoder.py", "tests/extras.py", "tests/test_imports.py"}


def test_nothing_imports_the_command_line_or_the_recipes() -> None:
    for path in SOURCES:
        if package_of(path) not in ("cli", "__main__"):
            assert not {name for name in imported(path) if name.startswith(("spear_accel.cli", "recipes"))}
