"""From the items and judgements of a set to the figures of its row, with 95 % intervals over utterances.

Knows folders of sets. Does not know how sounds were made, nor the judges' packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evaluation_sets import read_items
from json_log import JsonLog
from ratings import RATERS
from recognisers import RECOGNISERS
from words import error_rate, interval, plain, word_errors

from spear_accel.audio.files import read_audio
from spear_accel.training.acoustic.pitch import PitchConfig, track_pitch

__all__ = ["markdown", "pitch_of", "row_of", "write_worst"]

ALIGNED = ("true_mel", "true_pitch", "resynthesis")
"""Sets whose frames lie beside those of the recordings."""
_RATE, _HOP = 24_000, 240


def row_of(folder: Path, recordings: Path) -> dict[str, Any]:
    """Every figure of a set, each as [value, low, high]; a judge that has not judged every item has none."""
    items = list(read_items(folder))
    row: dict[str, Any] = {"set": folder.name, "utterances": len(items)}
    for name in RECOGNISERS:
        if heard := _judgements(folder, name, [item["id"] for item, _ in items]):
            errors = [word_errors(item["text"], heard[item["id"]]) for item, _ in items]
            row[f"{name} WER"] = _figure(errors, error_rate(errors))
    for name in RATERS:
        if rated := _judgements(folder, name, [item["id"] for item, _ in items]):
            values = _likeness(rated, recordings) if name == "speaker" else list(rated.values())
            if values:
                row[name] = _mean(values)
    row |= _pitch_figures(folder, recordings, items)
    words = [(len(plain(item["text"]).split()), item["seconds"]) for item, _ in items]
    row["words a second"] = _figure(words, sum(n for n, _ in words) / sum(s for _, s in words))
    return row


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table; intervals stand behind the values."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(keys) + " |", "|" + " --- |" * len(keys)]
    lines += ["| " + " | ".join(_cell(row.get(key, "")) for key in keys) + " |" for row in rows]
    return "\n".join(lines)


def write_worst(folder: Path) -> None:
    """``worst.txt``: the items that recognisers understood worst first, with what each heard."""
    heard = {
        name: JsonLog(folder / f"{name}.jsonl").records for name in RECOGNISERS if (folder / f"{name}.jsonl").exists()
    }
    found = []
    for item, _ in read_items(folder):
        said = {name: str(log[item["id"]][name]) for name, log in heard.items() if item["id"] in log}
        if said:
            rate = float(np.mean([error_rate([word_errors(item["text"], one)]) for one in said.values()]))
            found.append((rate, item, said))
    with (folder / "worst.txt").open("w", encoding="utf-8") as out:
        for rate, item, said in sorted(found, key=lambda one: -one[0]):
            out.write(f"{rate:.2f} {item['id']}\n  {'text':12s} {item['text']}\n")
            out.writelines(f"  {name:12s} {one}\n" for name, one in said.items())


def pitch_of(path: Path) -> np.ndarray:
    """Semitones above 1 Hz of every 10 ms frame of a file, NaN where unvoiced; kept beside the file."""
    kept = path.with_suffix(".pitch.npy")
    if not kept.exists():
        hertz = track_pitch(read_audio(path, _RATE), _RATE, _HOP, PitchConfig())
        np.save(kept, torch.where(hertz > 0, 12 * hertz.clamp_min(1).log2(), torch.nan).numpy())
    found: np.ndarray = np.load(kept)
    return found


def _pitch_figures(folder: Path, recordings: Path, items: Iterable[tuple[dict[str, Any], Path]]) -> dict[str, Any]:
    """Spread within an utterance, and for aligned sets the error against the recording, in semitones."""
    spreads, errors = [], []
    for _, path in items:
        pitch = pitch_of(path)
        if np.isfinite(pitch).sum() > 1:
            spreads.append(float(np.nanstd(pitch)))
        if folder.name in ALIGNED and (recordings / path.name).exists():
            error = _pitch_error(pitch, pitch_of(recordings / path.name))
            errors += [] if error is None else [error]
    found = {"pitch spread": _mean(spreads)} if spreads else {}
    return found | ({"pitch error": _mean(errors)} if errors else {})


def _pitch_error(pitch: np.ndarray, true: np.ndarray) -> float | None:
    """Mean absolute difference of the frames that are voiced in both."""
    frames = min(len(pitch), len(true))
    difference = np.abs(pitch[:frames] - true[:frames])
    return float(np.nanmean(difference)) if np.isfinite(difference).any() else None


def _judgements(folder: Path, judge: str, ids: Sequence[str]) -> dict[str, Any] | None:
    if not (folder / f"{judge}.jsonl").exists():
        return None
    log = JsonLog(folder / f"{judge}.jsonl").records
    return {id: log[id][judge] for id in ids} if all(id in log for id in ids) else None


def _likeness(embeddings: dict[str, list[float]], recordings: Path) -> list[float]:
    """Cosine of each utterance to the mean voice of the recordings; a recording is left out of the mean it meets."""
    if not (recordings / "speaker.jsonl").exists():
        return []
    real = {id: _unit(record["speaker"]) for id, record in JsonLog(recordings / "speaker.jsonl").records.items()}
    whole = np.sum(list(real.values()), axis=0)
    return [float(_unit(own) @ _unit(whole - real.get(id, 0.0))) for id, own in embeddings.items()]


def _unit(vector: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(vector, dtype=np.float64)
    unit: np.ndarray = values / np.linalg.norm(values)
    return unit


def _mean(values: Sequence[float]) -> list[float]:
    return _figure([(value, 1.0) for value in values], float(np.mean(values)))


def _figure(pairs: Sequence[Sequence[float]], value: float) -> list[float]:
    return [round(value, 4), *(round(limit, 4) for limit in interval(pairs))]


def _cell(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"
