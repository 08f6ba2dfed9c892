"""One job: lines through the engine, their sound behind it, records into the store; and again from where it stopped.

What is said of a line depends on voice, options, text, seed and speed alone, so neither batch size nor order, shard or
a kill changes a byte of the result. Does not know formats or files of input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from spear_accel.decoding import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.io.voice import VoiceCard
from spear_accel.pipeline import Voice
from spear_accel.synth.lines import BadLine, Line
from spear_accel.synth.sounding import Sounding
from spear_accel.synth.speaking import Spoken, speak_lines
from spear_accel.synth.store import Store
from spear_accel.synth.writers import Made, Writer, make_writer

__all__ = ["SynthOptions", "SynthSummary", "synthesise"]

_CHUNK_BATCHES = 32
"""Batches of lines that are planned at once: only their last utterances leave rows of a batch empty."""


@dataclass(frozen=True)
class SynthOptions:
    """How a job is done. Batch size, shard and retrying change no byte of what is made."""

    voice: str = "kathleen"
    """Of lines that name none."""
    format: str = "ljspeech"
    tokens_only: bool = False
    decode: DecodeOptions | None = None
    """Those of the voice where left out."""
    batch_size: int = 32
    shard: tuple[int, int] = (1, 1)
    """This one, from 1, of how many."""
    retries: int = 2
    """How often a line is tried again, with another seed, where it did not end or said nothing."""
    retry_failed: bool = False

    def __post_init__(self) -> None:
        number, of = self.shard
        if not 1 <= number <= of:
            raise UserError(f"--shard {number}/{of}: give I/N with I from 1 to N")
        if self.batch_size < 1:
            raise UserError(f"--batch-size {self.batch_size}: must be 1 or more")


@dataclass(frozen=True)
class SynthSummary:
    """What a run did."""

    made: int
    skipped: int
    """Made by an earlier run."""
    failed: int
    """Of all runs, bad lines included."""
    complete: bool
    """Whether all shards are done, and the dataset is whole."""


def synthesise(
    lines: Sequence[Line], bad: Sequence[BadLine], folder: Path, options: SynthOptions,
    progress: Callable[[int], None] = lambda done: None, load: Callable[[str], Voice] = Voice.load,
) -> SynthSummary:  # fmt: skip
    """Make what is not made yet of `lines` in `folder`.

    progress: told the number of lines done, now and then; load: voices by name.

    Raises:
        UserError: A voice cannot be loaded, the folder belongs to another job, or it cannot be written to.
    """
    voices = {name: load(name) for name in dict.fromkeys(line.voice or options.voice for line in lines)}
    for voice in voices.values():
        if voice.card.sample_rate is None and not options.tokens_only:
            raise UserError(f"voice {voice.card.name!r} ends at semantic tokens; give --tokens-only, or another voice")
    number, of = options.shard
    store = Store(folder, _identity(lines, bad, options, voices), options.shard)
    writer = make_writer(options.format, options.tokens_only, folder)
    tried = store.forget_failed() if options.retry_failed else {}
    own = [line for line in lines if line.number % of == number % of]
    for fault in bad:
        if fault.number % of == number % of:
            _fail(store, fault.id or f"line {fault.number}", fault.number, fault.reason)
    waiting = [line for line in own if line.id not in store.done and line.id not in store.failed]
    skipped, before = len(own) - len(waiting), len(store.done)
    for name, voice in voices.items():
        mine = [line for line in waiting if (line.voice or options.voice) == name]
        _make(voice, mine, options, store, writer, progress, tried)
    records = store.finish({line.id: line.number for line in lines})
    if records is not None:
        writer.finish(records)
        # What kills have left half written; no shard writes any more.
        for path in folder.rglob(".*.part"):
            path.unlink()
    return SynthSummary(len(store.done) - before, skipped, len(store.failed), records is not None)


def _make(
    voice: Voice, lines: Sequence[Line], options: SynthOptions, store: Store, writer: Writer,
    progress: Callable[[int], None], tried: Mapping[str, int],
) -> None:  # fmt: skip
    """All lines of one voice. tried: how often lines that failed have been tried, by id."""
    decode = replace(options.decode or voice.defaults, batch_size=options.batch_size)
    digest = _digest(voice.card)

    def keep(spoken: Spoken, made: Made) -> None:
        store.add({**_record(spoken, made, voice.card, digest), **writer.write(made)})
        progress(len(store.done))

    with Sounding(None if options.tokens_only else voice, keep) as sounding:
        for chunk in _chunks(lines, _CHUNK_BATCHES * options.batch_size):
            for spoken in speak_lines(voice, chunk, decode, options.retries, tried):
                if spoken.fault is None:
                    sounding.put(spoken)
                else:
                    _fail(store, spoken.line.id, spoken.line.number, spoken.fault, spoken.attempts)


def _record(spoken: Spoken, made: Made, card: VoiceCard, digest: str) -> dict[str, Any]:
    """As NeMo's manifests name things, and what the line came to. Nothing that depends on the machine's speed."""
    line = spoken.line
    seconds = {} if made.samples is None or made.sample_rate is None else {
        "duration": round(len(made.samples) / made.sample_rate, 4)
    }  # fmt: skip
    return {
        "id": line.id, "line": line.number, "text": line.text, "normalized_text": spoken.text, **seconds,
        "tokens": made.tokens.tolist(), "seeds": spoken.seeds, "speed": line.speed, "stop_reason": "eos",
        "retries": spoken.retries, "utterances": len(spoken.seeds), "voice": card.name, "voice_hash": digest,
    }  # fmt: skip


def _fail(store: Store, id: str, number: int, reason: str, attempts: int = 0) -> None:
    if id not in store.failed:
        store.fail({"id": id, "line": number, "reason": reason, "attempts": attempts})


def _chunks(lines: Sequence[Line], size: int) -> Iterator[list[Line]]:
    remaining = iter(lines)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _digest(card: VoiceCard) -> str:
    """Of all files that speaking reads."""
    return hashlib.sha256(json.dumps(sorted(card.files.items())).encode()).hexdigest()[:16]


def _identity(
    lines: Sequence[Line], bad: Sequence[BadLine], options: SynthOptions, voices: dict[str, Voice]
) -> dict[str, Any]:
    """What must be the same for going on, by the name that an error gives it."""
    listed = json.dumps([[asdict(one) for one in lines], [asdict(one) for one in bad]], ensure_ascii=False)
    decode = {name: asdict(replace(options.decode or voice.defaults, batch_size=1)) for name, voice in voices.items()}
    return {
        "input": hashlib.sha256(listed.encode()).hexdigest(),
        "voice": {name: _digest(voice.card) for name, voice in voices.items()},
        "options": json.loads(json.dumps(decode)), "format": options.format, "tokens_only": options.tokens_only,
        "retries": options.retries, "shards": options.shard[1],
    }  # fmt: skip
