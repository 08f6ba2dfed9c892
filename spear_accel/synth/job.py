"""One job: makes the lines of an input into a dataset, and goes on from where an earlier run stopped.

A line's sample depends on voice, options, text, seed and speed alone, so neither batch size nor order, shard, worker or
a kill changes a byte of the dataset. Does not know formats or files of input, nor how lines are decoded.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError
from spear_accel.kernels.devices import check_device
from spear_accel.storage import files
from spear_accel.storage.lock import locked
from spear_accel.synth.executor import Executor, make_executor
from spear_accel.synth.line import BadLine, Line
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.manifest import LOCK, Manifest, check_folder, own_folder
from spear_accel.synth.options import SynthOptions
from spear_accel.synth.process_executor import stop_unguarded_import
from spear_accel.synth.worker import LineResult, WorkerOptions
from spear_accel.synth.writers import Writer, check_format, make_writer
from spear_accel.voice.folder import VoiceCard, open_voice
from spear_accel.voice.precision import choose_precision

__all__ = ["SynthSummary", "synthesise", "usable_lines"]


@dataclass(frozen=True)
class SynthSummary:
    """What a run did."""

    made: int
    skipped: int
    """Lines that an earlier run has made, or has failed to make."""
    failed: int
    """Lines that failed in any run, bad lines included."""
    complete: bool
    """Whether all shards are made, and the dataset is whole."""
    warned: int = 0
    """Of the lines made by this run, those whose record has warnings."""


@dataclass(frozen=True)
class _VoiceName:
    """What records say of a voice."""

    name: str
    digest: str
    """Of all files that speaking reads."""


def synthesise(
    lines: Sequence[Line],
    bad: Sequence[BadLine],
    folder: Path,
    options: SynthOptions,
    progress: Callable[[int], None] = lambda made: None,
) -> SynthSummary:
    """Makes the lines that are not made yet.

    Args:
        lines: Of the whole input, whatever the shard.
        bad: Lines of the input that could not be read; they are recorded as failed.
        folder: Of the dataset.
        options: How to make it.
        progress: Is given the number of lines made so far, by all runs.

    Raises:
        UserError: A voice cannot be loaded, the folder belongs to another job or holds what no job made, another run is
            at work in it, or it cannot be written to.
    """
    stop_unguarded_import()
    _check_ids(lines)
    identified = (lines, bad)
    lines, unspoken = usable_lines(lines, options)
    bad = [*bad, *(line for line in unspoken if line not in bad)]
    voices = _voices(lines, options)
    check_format(options.format, options.tokens_only)
    check_device(options.device)
    lines_of = {name: options.lines_of(name) for name in voices}
    precision = choose_precision(options.dtype, options.device).name
    how = WorkerOptions(
        lines_of, options.tokens_only, options.device, precision, options.words, options.treatment, options.respellings
    )
    executor = make_executor(options.engine, how, options.batch_size, options.workers)
    check_folder(folder)
    own = own_folder(folder, options.shard)
    files.make_folder(own, "choose another -o")
    busy = f"{folder}: another run is making this; wait for its end, or choose another -o"
    with locked(own / LOCK, busy):
        manifest = Manifest(folder, _identity(*identified, options, voices, how), options.shard)
        return _make(lines, bad, options, voices, executor, manifest, progress)


def _make(
    lines: Sequence[Line],
    bad: Sequence[BadLine],
    options: SynthOptions,
    voices: Mapping[str, _VoiceName],
    executor: Executor,
    manifest: Manifest,
    progress: Callable[[int], None],
) -> SynthSummary:
    """Makes what the manifest lacks."""
    writer = make_writer(options.format, options.tokens_only, manifest.folder, options.validation)
    attempts = manifest.forget_failed() if options.retry_failed else {}
    own = [line for line in lines if options.holds(line.number)]
    _record_bad([line for line in bad if options.holds(line.number)], manifest)
    left = [line for line in own if line.number not in manifest.made and line.number not in manifest.failed]
    before = len(manifest.made)
    # Jobs are made one by one and kept by nobody here: each collects its tokens while it is decoded.
    jobs = (LineJob(line, line.voice or options.voice, attempts.get(line.number, 0)) for line in left)
    warned = 0
    for result in executor.run(jobs):
        _record(result, voices[result.voice], writer, manifest)
        warned += bool(result.record.get("warnings"))
        progress(len(manifest.made))
    complete = _finish(manifest, writer)
    return SynthSummary(len(manifest.made) - before, len(own) - len(left), len(manifest.failed), complete, warned)


def usable_lines(lines: Sequence[Line], options: SynthOptions) -> tuple[list[Line], list[BadLine]]:
    """Parts the lines from those whose own voice is not there, or makes no sound where sound is wanted.

    Raises:
        UserError: The voice of lines that name none is such a voice.
    """
    faults: dict[str, str] = {}
    for name in dict.fromkeys(line.voice for line in lines if line.voice is not None):
        try:
            _check_voice(name, options)
        except UserError as error:
            faults[name] = str(error)
    if any(line.voice is None for line in lines):
        _check_voice(options.voice, options)
    good = [line for line in lines if line.voice not in faults]
    bad = [BadLine(line.number, line.id, faults[line.voice]) for line in lines if line.voice in faults]
    if bad and not good:
        raise UserError(f"line {bad[0].number}: {bad[0].reason}")
    return good, bad


def _check_ids(lines: Sequence[Line]) -> None:
    """Two lines of one id or number would be one sample."""
    for name in ("number", "id"):
        seen = Counter(str(getattr(line, name)).lower() for line in lines)
        if twice := [value for value, times in seen.items() if times > 1]:
            raise UserError(
                f"lines: {len(twice)} have the {name} of another line, {twice[0]!r} first; give each its own"
            )


def _check_voice(name: str, options: SynthOptions) -> VoiceCard:
    """The card of a voice that can make what the job wants."""
    card = open_voice(name).card
    if card.sample_rate is None and not options.tokens_only:
        raise UserError(f"voice {card.name!r} ends at semantic tokens; give --tokens-only, or another voice")
    return card


def _voices(lines: Sequence[Line], options: SynthOptions) -> dict[str, _VoiceName]:
    """The voices of all lines, by the name that lines give them."""
    found = {}
    for name in dict.fromkeys(line.voice or options.voice for line in lines):
        card = _check_voice(name, options)
        digest = hashlib.sha256(json.dumps(sorted(card.files.items())).encode()).hexdigest()[:16]
        found[name] = _VoiceName(card.name, digest)
    return found


def _record_bad(bad: Sequence[BadLine], manifest: Manifest) -> None:
    for line in bad:
        if line.number not in manifest.failed and not line.heading:
            id = line.id or f"line {line.number}"
            manifest.fail({"id": id, "line": line.number, "reason": line.reason, "attempts": 0})


def _record(result: LineResult, voice: _VoiceName, writer: Writer, manifest: Manifest) -> None:
    """Writes the files of a line, then its record."""
    line = result.line
    if result.sample is None:
        reason = {"reason": str(result.fault), "attempts": result.attempts}
        manifest.fail({"id": line.id, "line": line.number, **reason})
    else:
        said_by = {"voice": voice.name, "voice_hash": voice.digest}
        manifest.add({**result.record, **said_by, **writer.write(result.sample)})


def _finish(manifest: Manifest, writer: Writer) -> bool:
    """Ends a shard; if it is the last one, also the dataset. Returns whether the dataset is whole."""
    records = manifest.finish()
    if records is None:
        return False
    writer.finish(records)
    # What kills have left half written. No shard writes any more.
    for path in manifest.folder.rglob(f".*{files.PART}"):
        path.unlink()
    return True


def _identity(
    lines: Sequence[Line],
    bad: Sequence[BadLine],
    options: SynthOptions,
    voices: Mapping[str, _VoiceName],
    how: WorkerOptions,
) -> dict[str, Any]:
    """What must be the same when a job is resumed, by the name that an error gives it."""
    whole_input = json.dumps([[asdict(line) for line in lines], [asdict(line) for line in bad]], ensure_ascii=False)
    return {
        "input": hashlib.sha256(whole_input.encode()).hexdigest(),
        "voice": {name: voice.digest for name, voice in voices.items()},
        "options": {name: asdict(replace(own.decode, batch_size=1)) for name, own in how.lines.items()},
        "format": options.format,
        "tokens_only": options.tokens_only,
        **({"validation": options.validation} if options.validation else {}),
        "retries": options.retries,
        "candidates": options.candidates,
        "coverage": options.coverage,
        "words": options.words,
        "sample_rate": options.treatment.sample_rate,
        "loudness": options.treatment.loudness,
        "lexicon": None if options.respellings is None else options.respellings.entries,
        "device": options.device,
        "dtype": how.dtype,
        "shards": options.shard[1],
    }
