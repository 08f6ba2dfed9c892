"""Records as a chart: speed-up by batch size, and acceptance by draft position. Needs matplotlib (extra `train`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spear_accel.bench.records import Record
from spear_accel.bench.speed import AUTOREGRESSIVE, Case
from spear_accel.errors import UserError
from spear_accel.storage import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by readers of any colour vision (Okabe and Ito 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vP*X"


def check_available() -> None:
    """Raises UserError where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UserError("--plot needs matplotlib; install it with: pip install 'spear-accel[train]'") from error


def save_plot(records: Sequence[Record], path: str | Path) -> None:
    """Write a PNG file whole or not at all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_speed(left, records)
    _draw_acceptance(right, records)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    first = records[0]
    where = f"{first.device}, {first.dtype}, {first.threads} threads"
    figure.suptitle(f"{first.utterances} utterances, temperature {first.temperature:g}, {where}", fontsize="medium")
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _cases(records: Sequence[Record]) -> dict[Case, list[Record]]:
    """The records of each way to decode that drafts, in the order measured."""
    found: dict[Case, list[Record]] = {}
    for record in records:
        case = Case(record.method, record.verify, record.draft_length)
        if case != AUTOREGRESSIVE:
            found.setdefault(case, []).append(record)
    return found


def _styles(cases: Sequence[Case]) -> list[tuple[str, str]]:
    """A colour for each method and rule, a marker for each draft length."""
    colours = list(dict.fromkeys((case.method, case.verify) for case in cases))
    marks = list(dict.fromkeys(case.draft_length for case in cases))
    return [
        (
            _COLOURS[colours.index((case.method, case.verify)) % len(_COLOURS)],
            _MARKERS[marks.index(case.draft_length) % len(_MARKERS)],
        )
        for case in cases
    ]


def _draw_speed(axes: Axes, records: Sequence[Record]) -> None:
    sizes = sorted({record.batch_size for record in records})
    axes.axhline(1.0, color="grey", linewidth=1.0, label=AUTOREGRESSIVE.method)
    cases = _cases(records)
    for (case, measured), (colour, marker) in zip(cases.items(), _styles(list(cases)), strict=True):
        ordered = sorted(measured, key=lambda record: record.batch_size)
        speedups = [one.speedup for one in ordered]
        axes.plot([one.batch_size for one in ordered], speedups, label=str(case), color=colour, marker=marker)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("batch size")
    axes.set_ylabel("speed-up over autoregressive")
    axes.grid(alpha=0.3)


def _draw_acceptance(axes: Axes, records: Sequence[Record]) -> None:
    """Of the first batch size measured; acceptance does not depend on it where the draft length is fixed."""
    cases = _cases(records)
    longest = 1
    for measured, (colour, marker) in zip(cases.values(), _styles(list(cases)), strict=True):
        chances = measured[0].acceptance_by_position
        longest = max(longest, len(chances))
        axes.plot(range(1, len(chances) + 1), chances, color=colour, marker=marker)
    axes.set_xticks(range(1, longest + 1))
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel("draft position i")
    axes.set_ylabel(f"P(first i drafts accepted), batch size {records[0].batch_size}")
    axes.grid(alpha=0.3)
