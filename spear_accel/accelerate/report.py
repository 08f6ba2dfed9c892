"""What an acceleration did and won: report.md, report.png and report.json. Measures nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from spear_accel.accelerate.head_choice import HeadChoice
from spear_accel.accelerate.plan import AcceleratePlan
from spear_accel.accelerate.state import JobState
from spear_accel.accelerate.texts import Texts
from spear_accel.bench.plot import save_plot
from spear_accel.bench.records import Record
from spear_accel.bench.table import Table, make_tables, markdown
from spear_accel.decoding.registry import method_names
from spear_accel.storage import files
from spear_accel.storage.provenance import provenance

__all__ = ["Report", "write_report"]


@dataclass(frozen=True)
class Report:
    """All that is told."""

    voice: str
    plan: AcceleratePlan
    texts: Texts
    state: JobState
    records: Sequence[Record]
    losses: Mapping[str, Mapping[str, float]]
    """The last validation of each training run."""


def write_report(report: Report, folder: Path) -> None:
    """Writes report.md, report.png and report.json into `folder`, which is made if need be.

    Raises:
        UserError: The folder cannot be made, or a file cannot be written.
    """
    files.make_folder(folder, "choose another --report")
    save_plot(report.records, folder / "report.png")
    files.write_text(folder / "report.md", _text(report))
    files.write_json(folder / "report.json", {
        "voice": report.voice, "plan": asdict(report.plan), "seconds": report.state.seconds,
        "validation": {name: dict(values) for name, values in report.losses.items()},
        "provenance": provenance(asdict(report.plan)),
        "records": [record.to_dict() for record in report.records],
    })  # fmt: skip


def _text(report: Report) -> str:
    parts = [
        f"# {report.voice}, accelerated", _headline(report.records), "![speed-up and acceptance](report.png)",
        *(markdown(table) for table in make_tables(report.records)),
        "## Exactness", _exactness(report.records),
        "## What was tried", markdown(_tried(report.records)),
        "## How it was made", _made(report), markdown(_times(report.state.seconds)),
        markdown(_heads(report.losses)), _choices(report.state),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _headline(records: Sequence[Record]) -> str:
    auto = [record for record in records if record.method == "auto"]
    won = ", ".join(f"{one.speedup:.2f} at batch size {one.batch_size} ({one.method_used})" for one in auto)
    first = records[0]
    return (
        f"Times as fast as autoregressive decoding, by method `auto`: {won} ({first.device}, {first.dtype}, "
        f"{first.threads} threads, temperature {first.temperature:g}, {first.utterances} utterances)."
    )


def _exactness(records: Sequence[Record]) -> str:
    compared = [record for record in records if record.method != "autoregressive"]
    wrong = [record for record in compared if not record.identical_to_autoregressive]
    tokens = sum(record.tokens for record in compared)
    if not wrong:
        return f"All {len(compared)} runs gave the autoregressive tokens of the same seed: {tokens} tokens compared."
    names = "; ".join(
        f"{one.method} at batch size {one.batch_size}: {one.different_utterances} of {one.utterances} utterances"
        for one in wrong
    )
    return f"**Not identical:** {names}. In float32 this happens only where two tokens are as likely as each other."


def _tried(records: Sequence[Record]) -> Table:
    """Each method against the choice of `auto`."""
    rows: list[tuple[str, ...]] = []
    for record in records:
        if record.method in ("auto", "autoregressive"):
            continue
        chosen = next(one for one in records if (one.method, one.batch_size) == ("auto", record.batch_size))
        verdict = "taken" if chosen.method_used == record.method else "rejected"
        rows.append((record.method, str(record.batch_size), f"{record.speedup:.2f}", f"{chosen.speedup:.2f}", verdict))
    return Table("Methods against `auto`", ("method", "batch", "speed-up", "auto", "verdict"), rows)


def _made(report: Report) -> str:
    decided = report.state.decided
    unseen = len(report.texts.held)
    if decided("utterances") is None:
        return f"No head was trained: the voice has all that were asked for. {unseen} texts were measured with first."
    return (
        f"The voice spoke {decided('utterances')} utterances of {len(report.texts.training)} texts; heads learned from "
        f"them with its own weights frozen. {unseen} texts were held back: validation, tuning and the tables above use "
        "them first."
    )


def _choices(state: JobState) -> str:
    """Heads of a kind that the voice had, beside the new ones."""
    found = {name: state.decided(f"head {name}") for name in method_names()}
    rows: list[tuple[str, ...]] = [
        (name, f"{values['before']:.2f}", f"{values['after']:.2f}", HeadChoice(**values).verdict)
        for name, values in found.items()
        if values
    ]
    columns = ("head", "tokens a call before", "after", "verdict")
    return markdown(Table("Heads that the voice had", columns, rows)) if rows else ""


def _times(seconds: Mapping[str, float]) -> Table:
    rows = [(step, f"{spent / 60:.1f}") for step, spent in seconds.items()]
    return Table("Minutes by step", ("step", "minutes"), [*rows, ("all", f"{sum(seconds.values()) / 60:.1f}")])


def _heads(losses: Mapping[str, Mapping[str, float]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for values in losses.values():
        kinds = dict.fromkeys(name.split("/")[1] for name in values if name.endswith("/loss"))
        for kind in kinds:
            first = values.get(f"validation/{kind}/acceptance_1")
            if first is not None:
                tokens = values.get(f"validation/{kind}/tokens_per_round", 0.0)
                rows.append((kind, f"{values['step']:.0f}", f"{first:.3f}", f"{tokens:.2f}"))
    return Table("Heads on held-back texts", ("head", "steps", "first draft accepted", "tokens a round"), rows)
