"""The tables that anyone may extend: their shape, and that nothing in them is read twice."""

from __future__ import annotations

import re

import pytest

from spear_accel.text import normalise
from spear_accel.text.english import scanner, tables

COLUMNS = {
    "units": 4, "currencies": 6, "scales": 3, "titles": 2, "abbreviations": 3, "numbered": 3, "latin": 2,
    "plain_readings": 2, "acronyms": 2, "states": 2, "streets": 2, "directions": 2, "symbols": 2, "web_signs": 2,
}  # fmt: skip


@pytest.mark.parametrize(("name", "columns"), COLUMNS.items())
def test_every_row_is_whole_and_no_entry_stands_twice(name: str, columns: int) -> None:
    rows = tables.rows(name)
    assert rows and all(len(row) == columns and all(row) for row in rows)
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize("name", ["titles", "abbreviations", "numbered", "plain_readings", "acronyms", "streets"])
def test_what_a_table_says_is_final(name: str) -> None:
    for row in tables.rows(name):
        assert normalise(row[1]).text == row[1]


def test_units_say_when_they_are_units() -> None:
    allowed = {"any", "attached", "sign", "space", "compound", "never"}
    assert {row[3] for row in tables.rows("units")} <= allowed


def test_every_pattern_of_a_rule_can_be_compiled() -> None:
    """They are compiled when a text first needs them, so a mistake in one would be found late."""
    for known in scanner.RULES:
        re.compile(known.pattern.source, known.pattern.flags)
