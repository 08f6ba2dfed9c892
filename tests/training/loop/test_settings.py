"""YAML settings: variables, and faults told before a run starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from spear_accel.errors import UserError
from spear_accel.training.loop.settings import build, read_settings
from spear_accel.training.loop.trainer import LoopConfig


def test_variables_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "outside")
    (tmp_path / "a.yaml").write_text("output: $PLACE/a\nother: ${NAME}\n")
    assert read_settings(tmp_path / "a.yaml", ("output",), {"NAME": "x"}) == {"output": "outside/a", "other": "x"}
    assert read_settings(tmp_path / "a.yaml", (), {"NAME": "x", "PLACE": "inside"})["output"] == "inside/a"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [", "not YAML"),
        ("- 1", "expected a mapping"),
        ("a: 1", "lacks the section loop"),
        ("a: $UNSET_X", "UNSET_X"),
    ],
)
def test_faults_name_the_file(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"a\.yaml: .*{fault}"):
        read_settings(tmp_path / "a.yaml", ("a", "loop"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        read_settings(tmp_path / "none.yaml", ())


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(UserError, match="here: unknown setting stepz"):
        build(LoopConfig, {"steps": 1, "learning_rate": 1, "stepz": 2}, "here")
    with pytest.raises(UserError, match="here: setting learning_rate is missing"):
        build(LoopConfig, {"steps": 1}, "here")
    assert build(LoopConfig, {"steps": 3, "learning_rate": 0.1}, "here").steps == 3
