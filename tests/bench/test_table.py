"""Tables: Markdown into files and pipes, rich on a terminal, and no figure that was not measured."""

from __future__ import annotations

import io
from dataclasses import replace

from spear_accel.bench import Run, make_records
from spear_accel.bench.records import Conditions
from spear_accel.bench.table import Table, make_tables, markdown, print_tables


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_markdown_is_aligned() -> None:
    table = Table("Name", ("method", "n"), [("a", "1"), ("longest", "200")])
    assert markdown(table).splitlines() == [
        "**Name**",
        "",
        "| method  |   n |",
        "| ------- | --: |",
        "| a       |   1 |",
        "| longest | 200 |",
    ]


def test_tables_hold_the_figures(runs: list[Run], conditions: Conditions) -> None:
    speed, acceptance, predictions = make_tables(make_records(runs, conditions))
    assert speed.rows[0] == ("autoregressive", "0", "2", "5", "1.00", "1.00", "-", "-", "yes")
    assert speed.rows[1] == ("prophet", "2", "2", "10", "2.00", "1.75", "0.38", "2.0", "yes")
    assert acceptance.columns[3:] == ("1", "2")
    assert acceptance.rows == [("prophet", "2", "2", "0.50", "0.25")]
    assert predictions.rows == [("prophet", "2", "2", "0.50", "0.100", "1.25", "1.75", "1.75", "1.46", "1.21", "2.00")]
    for table in (speed, acceptance, predictions):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_drafts_of_different_lengths_share_a_table(runs: list[Run], conditions: Conditions) -> None:
    prophet = make_records(runs, conditions)[1]
    longer = replace(
        prophet, verify="rejection", draft_length=12, acceptance_by_position=(0.5,) * 12, different_utterances=2
    )
    speed, acceptance, _ = make_tables([prophet, replace(longer, identical_to_autoregressive=False)])
    assert (speed.rows[1][0], speed.rows[1][-1]) == ("prophet, rejection", "no (2)")
    assert [len(row) for row in acceptance.rows] == [11, 11]
    assert acceptance.rows[0][3:] == ("0.50", "0.25", *["-"] * 6)


def test_auto_says_what_it_chose(runs: list[Run], conditions: Conditions) -> None:
    chosen = replace(make_records(runs, conditions)[1], method="auto")
    assert make_tables([chosen])[0].rows[0][0] == "auto (prophet)"


def test_without_drafts_there_is_one_table(runs: list[Run], conditions: Conditions) -> None:
    assert len(make_tables(make_records(runs[:1], conditions))) == 1


def test_a_terminal_gets_a_drawn_table(runs: list[Run], conditions: Conditions) -> None:
    tables = make_tables(make_records(runs, conditions))
    terminal, pipe = Terminal(), io.StringIO()
    print_tables(tables, terminal)
    print_tables(tables, pipe)
    assert "━" in terminal.getvalue() or "─" in terminal.getvalue()
    assert "|" not in terminal.getvalue() and terminal.getvalue().count("prophet") == 3
    assert pipe.getvalue().count("| prophet") == 3 and "\x1b" not in pipe.getvalue()
