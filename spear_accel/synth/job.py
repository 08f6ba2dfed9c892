"""One job: lines to workers, what they made to the store; and again from where it stopped.

What is said of a line depends on voice, options, text, seed and speed alone, so neither batch size nor order, shard,
worker or a kill changes a byte of the result. Does not know formats or files of input, nor how lines are spoken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spear_accel.decoding import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.synth.lines import BadLine, Line
from spear_accel.synth.making import MakeOptions, Outcome, by_this_process
from spear_accel.synth.ray_engine import by_ray, check_ray
from spear_accel.synth.speaking import SpeakOptions, Wanted
from spear_accel.synth.store import Store
from spear_accel.synth.tasks import large_tasks, small_tasks
from spear_accel.synth.workers import by_processes
from spear_accel.synth.writers import check_format, make_writer
from spear_accel.voice.defaults import decoding_defaults
from spear_accel.voice.folder import VoiceCard, open_voice
from spear_accel.voice.voice import Voice

__all__ = ["ENGINES", "SynthOptions", "SynthSummary", "synthesise"]

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class SynthOptions:
    """How a job is done. Batch size, and what stands below it, change no byte of what is made."""

    voice: str = "kathleen"
    """Of lines that name none."""
    format: str = "ljspeech"
    tokens_only: bool = False
    decode: DecodeOptions | None = None
    """Those of the voice where left out."""
    retries: int = 2
    """How often an utterance is tried again, with another seed, where a guard finds fault with it."""
    candidates: int = 1
    """Readings of each utterance, of which the best is kept."""
    coverage: bool = True
    """Whether cross-attention is looked at for words that were skipped or said twice."""
    device: str = "cpu"
    batch_size: int = 16
    workers: int = 1
    """Processes, each with a voice and one thread of its own; of engine "ray", actors."""
    engine: str = "local"
    shard: tuple[int, int] = (1, 1)
    """This one, from 1, of how many."""
    retry_failed: bool = False

    def __post_init__(self) -> None:
        number, of = self.shard
        if not 1 <= number <= of:
            raise UserError(f"--shard {number}/{of}: give I/N with I from 1 to N")
        for name in ("batch_size", "workers", "candidates"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be 1 or more")
        if self.engine not in ENGINES:
            raise UserError(f"--engine {self.engine}: unknown; choose {' or '.join(ENGINES)}")

    def speaking(self, name: str) -> SpeakOptions:
        """How the voice `name` speaks."""
        decode = replace(self.decode or decoding_defaults(name), batch_size=self.batch_size)
        return SpeakOptions(decode, self.retries, self.candidates, self.coverage)


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
    progress: Callable[[int], None] = lambda done: None, load: Callable[[str], Voice] | None = None,
) -> SynthSummary:  # fmt: skip
    """Make what is not made yet of `lines` in `folder`.

    progress: told the number of lines done, now and then; load: voices by name, for a single worker of this process.

    Raises:
        UserError: A voice cannot be loaded, the folder belongs to another job, or it cannot be written to.
    """
    cards = {name: open_voice(name).card for name in dict.fromkeys(line.voice or options.voice for line in lines)}
    for card in cards.values():
        if card.sample_rate is None and not options.tokens_only:
            raise UserError(f"voice {card.name!r} ends at semantic tokens; give --tokens-only, or another voice")
    check_format(options.format, options.tokens_only)
    if options.engine == "ray":
        check_ray()
    make = MakeOptions({name: options.speaking(name) for name in cards}, options.tokens_only, options.device)
    number, of = options.shard
    store = Store(folder, _identity(lines, bad, options, cards, make), options.shard)
    writer = make_writer(options.format, options.tokens_only, folder)
    tried = store.forget_failed() if options.retry_failed else {}
    own = [line for line in lines if line.number % of == number % of]
    for fault in bad:
        if fault.number % of == number % of:
            _fail(store, fault.id or f"line {fault.number}", fault.number, fault.reason)
    waiting = [line for line in own if line.id not in store.done and line.id not in store.failed]
    skipped, before = len(own) - len(waiting), len(store.done)
    digests = {name: _digest(card) for name, card in cards.items()}
    for outcome in _outcomes(waiting, options, make, tried, load):
        line, made = outcome.line, outcome.made
        if made is None:
            _fail(store, line.id, line.number, str(outcome.fault), outcome.attempts)
            continue
        name = line.voice or options.voice
        of_voice = {"voice": cards[name].name, "voice_hash": digests[name]}
        store.add({**outcome.facts, **of_voice, **writer.write(made)})
        progress(len(store.done))
    records = store.finish({line.id: line.number for line in lines})
    if records is not None:
        writer.finish(records)
        # What kills have left half written; no shard writes any more.
        for path in folder.rglob(".*.part"):
            path.unlink()
    return SynthSummary(len(store.done) - before, skipped, len(store.failed), records is not None)


def _outcomes(
    waiting: Sequence[Line], options: SynthOptions, make: MakeOptions, tried: Mapping[str, int],
    load: Callable[[str], Voice] | None,
) -> Iterator[Outcome]:  # fmt: skip
    """What became of every line, by the engine that was asked for."""
    by_voice: dict[str, list[Wanted]] = {}
    for line in waiting:
        by_voice.setdefault(line.voice or options.voice, []).append(Wanted(line, tried.get(line.id, 0)))
    cut = large_tasks if options.engine == "ray" else small_tasks
    tasks = [task for name, mine in by_voice.items() for task in cut(name, mine, options.batch_size, options.workers)]
    if not tasks:
        return iter(())
    if options.engine == "ray":
        return by_ray(tasks, make, options.workers)
    if options.workers == 1:
        return by_this_process(tasks, make, load)
    return by_processes(tasks, make, options.workers)


def _fail(store: Store, id: str, number: int, reason: str, attempts: int = 0) -> None:
    if id not in store.failed:
        store.fail({"id": id, "line": number, "reason": reason, "attempts": attempts})


def _digest(card: VoiceCard) -> str:
    """Of all files that speaking reads."""
    return hashlib.sha256(json.dumps(sorted(card.files.items())).encode()).hexdigest()[:16]


def _identity(
    lines: Sequence[Line], bad: Sequence[BadLine], options: SynthOptions, cards: Mapping[str, VoiceCard],
    make: MakeOptions,
) -> dict[str, Any]:  # fmt: skip
    """What must be the same for going on, by the name that an error gives it."""
    listed = json.dumps([[asdict(one) for one in lines], [asdict(one) for one in bad]], ensure_ascii=False)
    decode = {name: asdict(replace(how.decode, batch_size=1)) for name, how in make.speak.items()}
    return {
        "input": hashlib.sha256(listed.encode()).hexdigest(),
        "voice": {name: _digest(card) for name, card in cards.items()},
        "options": json.loads(json.dumps(decode)), "format": options.format, "tokens_only": options.tokens_only,
        "retries": options.retries, "candidates": options.candidates, "coverage": options.coverage,
        "device": options.device, "shards": options.shard[1],
    }  # fmt: skip
