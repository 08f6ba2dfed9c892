"""Records as tables: for a terminal with rich, else as Markdown. Knows neither voices nor measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from spear_accel.bench.acceptance import predict
from spear_accel.bench.records import Record
from spear_accel.bench.speed import AUTOREGRESSIVE

_NOTHING = "-"
_CASE = ("method", "draft", "batch")
_MOST_POSITIONS = 8


@dataclass(frozen=True)
class Table:
    """Rows have one cell per column; all but the first column hold figures."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def make_tables(records: Sequence[Record]) -> list[Table]:
    """What was measured; and, where anything was drafted, acceptance per position and predicted speed-up."""
    drafted = [record for record in records if record.mean_draft_length is not None]
    return [_speed(records), *([_acceptance(drafted), _predictions(drafted)] if drafted else [])]


def print_tables(tables: Sequence[Table], file: TextIO) -> None:
    """Coloured where `file` is a terminal, Markdown where it is not."""
    if file.isatty():
        _print_rich(tables, file)
    else:
        file.write("\n".join(markdown(table) for table in tables))


def markdown(table: Table) -> str:
    """Title and pipe table, cells padded so that it reads well as plain text."""
    widths = [max(len(row[i]) for row in (table.columns, *table.rows)) for i in range(len(table.columns))]
    rule = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [_pad(row, widths) for row in (table.columns, rule, *table.rows)]
    return "\n".join([f"**{table.title}**", "", *lines, ""])


def _pad(row: Sequence[str], widths: Sequence[int]) -> str:
    figures = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return f"| {' | '.join([row[0].ljust(widths[0]), *figures])} |"


def _print_rich(tables: Sequence[Table], file: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(file=file)
    for table in tables:
        shown = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
        for i, column in enumerate(table.columns):
            shown.add_column(column, justify="right" if i else "left", no_wrap=i == 0, overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def _case(record: Record) -> tuple[str, ...]:
    """The rule is named where it is not the reference's, and what "auto" chose."""
    name = record.method if record.method_used == record.method else f"{record.method} ({record.method_used})"
    if record.verify != AUTOREGRESSIVE.verify:
        name += f", {record.verify}"
    return name, str(record.draft_length), str(record.batch_size)


def _figure(value: float | None, digits: int = 2) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"


def _speed(records: Sequence[Record]) -> Table:
    columns = (*_CASE, "tok/s", "speed-up", "per call", "accepted", "drafted", "same")
    rows = [
        (
            *_case(record), f"{record.tokens_per_second:.0f}", _figure(record.speedup),
            _figure(record.block_efficiency), _figure(record.acceptance_rate), _figure(record.mean_draft_length, 1),
            "yes" if record.identical_to_autoregressive else f"no ({record.different_utterances})",
        )
        for record in records
    ]  # fmt: skip
    return Table("Speed", columns, rows)


def _acceptance(records: Sequence[Record]) -> Table:
    longest = min(_MOST_POSITIONS, max(len(record.acceptance_by_position) for record in records))
    rows = []
    for record in records:
        shown = [_figure(value) for value in record.acceptance_by_position[:longest]]
        rows.append((*_case(record), *shown, *[_NOTHING] * (longest - len(shown))))
    return Table("P(first i drafts accepted)", (*_CASE, *map(str, range(1, longest + 1))), rows)


def _predictions(records: Sequence[Record]) -> Table:
    columns = (
        *_CASE, "alpha", "c", "v", "per call (alpha)", "per call", "speed-up (alpha, c)", "speed-up (c, v)", "speed-up",
    )  # fmt: skip
    rows = []
    for record in records:
        expected = predict(record)
        if expected is None:
            continue
        rows.append((
            *_case(record), _figure(expected.alpha), _figure(record.draft_cost, 3), _figure(record.verify_cost),
            _figure(expected.block_efficiency), _figure(record.block_efficiency), _figure(expected.speedup),
            _figure(expected.batch_speedup), _figure(record.speedup),
        ))  # fmt: skip
    return Table("Predicted and measured", columns, rows)
