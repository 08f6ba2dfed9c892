"""Which front end reads a language, and those that packages bring."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spear_accel import Voice
from spear_accel.errors import UserError
from spear_accel.text import English, front_end_for
from spear_accel.text.front_end import Normalised, verbatim

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install(name, code, value)`: a package with a text front end, as pip would leave it."""
    site = tmp_path / "site"

    def start(name: str, code: str, value: str = "other_text:read") -> None:
        info = site / "other_text-1.dist-info"
        info.mkdir(parents=True)
        (site / "other_text.py").write_text(code)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-text\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[spear_accel.text]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(site)

    yield start
    sys.modules.pop("other_text", None)


@pytest.mark.parametrize("language", ["en", "en-GB", "EN_us"])
def test_english_is_built_in(language: str) -> None:
    assert isinstance(front_end_for(language), English)


def test_other_languages_are_read_as_they_are_written() -> None:
    assert front_end_for("zh") is verbatim
    assert verbatim("50 %\n\x07 e\u0301").text == "50 % é"


def test_a_package_brings_a_language(install: Install) -> None:
    install("de", "def read(text):\n    return text.replace('5', 'fünf')\n")
    assert front_end_for("de-AT")("5 Äpfel") == Normalised("fünf Äpfel")
    assert front_end_for("fr") is verbatim


def test_a_package_replaces_english_and_a_voice_names_another(install: Install) -> None:
    install("en", "from spear_accel.text import Normalised\ndef read(text):\n    return Normalised('mine', ('w',))\n")
    assert front_end_for("en")("5").text == "mine"
    assert front_end_for("en", "english")("5").text == "five"
    assert front_end_for("en", "verbatim")("5").text == "5"


@pytest.mark.parametrize(
    ("code", "value", "fault"),
    [
        ("import nowhere_to_be_found", "other_text:read", "No module named 'nowhere_to_be_found'"),
        ("", "other_text:read", "cannot be imported"),
        ("read = 5", "other_text:read", "is not callable"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(install: Install, code: str, value: str, fault: str) -> None:
    install("xx", code, value)
    with pytest.raises(UserError, match=f"'xx'.*{fault}"):
        front_end_for("xx")


def test_a_front_end_that_returns_something_else_is_named(install: Install) -> None:
    install("xx", "def read(text):\n    return 5\n")
    with pytest.raises(UserError, match=r"'xx' returned int; it must return spear_accel\.text\.Normalised"):
        front_end_for("xx")("a")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match="'nope': no such front end; built in are english and verbatim"):
        front_end_for("en", "nope")


def test_a_voice_reads_with_the_front_end_it_names(shared_voice: Path, install: Install) -> None:
    install("loud", "def read(text):\n    return text.replace('5', 'nine')\n")
    voice = Voice.load(shared_voice)
    assert [one.text for one in voice.plan("5 cats sat here")] == ["five cats sat here"]
    voice.front_end = front_end_for("en", "loud")
    assert [one.text for one in voice.plan("5 cats sat here")] == ["nine cats sat here"]
