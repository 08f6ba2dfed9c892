"""Hundreds of written forms of every class with readings that are right; see docs/text.md for the shape of the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spear_accel.text import normalise
from spear_accel.text.plan import plan

FORMS = [json.loads(line) for line in Path(__file__).with_name("forms.jsonl").read_text(encoding="utf-8").splitlines()]


def canonical(text: str) -> str:
    """Case, hyphens and the final mark aside."""
    return " ".join(text.lower().replace("-", " ").split()).rstrip(".?!")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form['kind'][:20]}: {form['written'][:30]!r}")
def test_a_form_is_read_right(form: dict[str, Any]) -> None:
    spoken = normalise(form["written"]).text
    assert canonical(spoken) in [canonical(reading) for reading in form["read"]]
    if form["utterances"] is not None:
        assert len(list(plan(form["written"], 220, normalise))) == form["utterances"]
    assert normalise(spoken).text == spoken


def test_the_forms_are_many_and_of_many_kinds() -> None:
    assert len(FORMS) > 400 and len({form["kind"] for form in FORMS}) > 30
    assert len({form["written"] for form in FORMS}) > 400
