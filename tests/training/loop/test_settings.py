"""YAML settings: variables, and faults told before a run starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spear_accel.errors import UserError
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.settings import Share, Strings, build, read_sections, read_settings


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
        ("a: 5 $", r"a \$ without a name"),
    ],
)
def test_faults_name_the_file(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"a\.yaml: .*{fault}"):
        read_settings(tmp_path / "a.yaml", ("a", "loop"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        read_settings(tmp_path / "none.yaml", ())


def test_a_file_that_is_not_utf8_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("output: fünf\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.yaml: not UTF-8 text \(byte 9\); save it as UTF-8$"):
        read_settings(tmp_path / "a.yaml", ())


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_settings(tmp_path, ())


@dataclass(frozen=True)
class Part:
    """A section inside a section."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Whole:
    """A section of every kind of setting."""

    parts: tuple[Part, ...] = ()
    names: Strings = ()
    size: int = 1
    share: Share = 0.5
    pair: tuple[float, float] = (0.0, 1.0)
    extra: Part | None = None


def read(tmp_path: Path, section: str) -> Whole:
    (tmp_path / "a.yaml").write_text(f"whole: {section}\n")
    return build(Whole, read_settings(tmp_path / "a.yaml", ("whole",))["whole"], "a.yaml, whole")


@pytest.mark.parametrize(
    ("section", "made"),
    [
        ("", Whole()),
        ("{share: 1e-3}", Whole(share=0.001)),
        ("{share: '0.25', size: '3'}", Whole(share=0.25, size=3)),
        ("{pair: [2, 3.5]}", Whole(pair=(2.0, 3.5))),
        ("{names: a}", Whole(names=("a",))),
        ("{names: [a, b]}", Whole(names=("a", "b"))),
        ("{parts: [{name: x}, {name: y, weight: 2}], extra: {name: z}}",
         Whole(parts=(Part("x"), Part("y", 2.0)), extra=Part("z"))),
    ],
)  # fmt: skip
def test_sections_become_dataclasses_with_the_types_that_they_say(tmp_path: Path, section: str, made: Whole) -> None:
    assert read(tmp_path, section) == made


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("{size: many}", "a.yaml, whole.size is 'many'; it should be a valid integer"),
        ("{size: 1.5}", "a.yaml, whole.size is 1.5; it should be a valid integer"),
        ("{size: 1e3}", "a.yaml, whole.size is '1e3'; it should be a valid integer"),
        ("{share: 1}", "a.yaml, whole.share is 1; it should be less than 1"),
        ("{share: [1]}", "a.yaml, whole.share is [1]; it should be a valid number"),
        ("{pair: [1, x]}", "a.yaml, whole.pair[1] is 'x'; it should be a valid number"),
        ("{names: 3}", "a.yaml, whole.names is 3; it should be a valid tuple"),
        ("{parts: [{name: 5}]}", "a.yaml, whole.parts[0].name is 5; it should be a valid string"),
        ("{extra: word}", "a.yaml, whole.extra is 'word'; it should be a mapping"),
        ("[1, 2]", "a.yaml, whole is [1, 2]; it should be a mapping"),
        ("{sise: 1, shape: 2}", "a.yaml, whole: unknown setting sise, shape; known are parts, names, size"),
        ("{extra: {nam: x}}",
         "a.yaml, whole.extra: setting name is missing; a.yaml, whole.extra: unknown setting nam; known are name"),
        ("{parts: [{name: x}, {weight: 1}]}", "a.yaml, whole.parts[1]: setting name is missing"),
    ],
)  # fmt: skip
def test_every_fault_is_named_with_its_key_and_file(tmp_path: Path, section: str, fault: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, section)
    assert str(caught.value).startswith(fault) and "\n" not in str(caught.value)


def test_the_loop_of_a_run() -> None:
    assert build(LoopConfig, {"steps": 3, "learning_rate": "1e-3"}, "here").learning_rate == 0.001
    assert build(LoopConfig, {"steps": 3, "learning_rate": 1, "betas": [0.8, 0.99]}, "here").betas == (0.8, 0.99)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"steps": 1, "learning_rate": 1, "stepz": 2}, "here: unknown setting stepz"),
        ({"steps": 1}, "here: setting learning_rate is missing"),
        ({"steps": 0, "learning_rate": 1}, r"here\.steps is 0; it should be greater than or equal to 1"),
        (
            {"steps": 1, "learning_rate": 1, "precision": "int8"},
            r"here\.precision is 'int8'; it should be 'auto'",
        ),
        ({"steps": 1, "learning_rate": 1, "trackers": ["paper"]}, r"here\.trackers\[0\] is 'paper'"),
    ],
)
def test_faults_of_the_loop_are_named(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        build(LoopConfig, values, "here")


def test_the_sections_of_a_run_are_known() -> None:
    given = {"data": {}, "loop": {}, "output": "run"}
    assert read_sections(given, ("data",)).output == Path("run")
    with pytest.raises(UserError, match="settings: unknown section loops; there are data, loop, model, output"):
        read_sections({**given, "loops": {}}, ("data",), ("model",))
    with pytest.raises(UserError, match="settings: lacks the section loop, output"):
        read_sections({"data": {}}, ("data",))
    with pytest.raises(UserError, match="settings, output is 5; it should be a valid string"):
        _ = read_sections({**given, "output": 5}, ("data",)).output


def test_a_truth_value_is_no_number() -> None:
    """YAML reads `steps: yes` as true."""
    with pytest.raises(UserError, match=r"run\.yaml, loop\.steps is True; it should be no truth value"):
        build(LoopConfig, {"steps": True}, "run.yaml, loop")
