"""The steps of an acceleration: sample, train heads, search a skip set, tune, measure, report, put in place.

Each can be broken off; the same command goes on. Knows the order and the time; every step's work is elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spear_accel.accelerate.costs import TunePlan
from spear_accel.accelerate.head_choice import HeadChoice, choose_head
from spear_accel.accelerate.head_training import own_speech, train_heads
from spear_accel.accelerate.plan import SAMPLING, SEARCHING, AcceleratePlan, HeadRun, head_runs
from spear_accel.accelerate.report import Report, write_report
from spear_accel.accelerate.skip_search import find_skip_set
from spear_accel.accelerate.state import JobState
from spear_accel.accelerate.texts import Texts, read_texts
from spear_accel.accelerate.tune import tune_voice
from spear_accel.bench import Case, make_cases
from spear_accel.bench.records import Conditions, Record, make_records
from spear_accel.bench.speed import Run
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.errors import UserError
from spear_accel.storage import folders
from spear_accel.training.heads.train import load_trained_heads
from spear_accel.voice.components import load_decoding_defaults, save_decoding_defaults, save_head
from spear_accel.voice.defaults import with_tuning
from spear_accel.voice.folder import VoiceFolder, open_voice, seal
from spear_accel.voice.voice import Voice

__all__ = ["accelerate"]

Say = Callable[[str], None]
_REPEATS = 2
_FEWEST_MEASURED = 16
_SKIP_TEXTS, _SKIP_TOKENS = 6, 60
_CHOICE_TEXTS, _CHOICE_TOKENS = 24, 150


@dataclass(frozen=True)
class _Job:
    """One acceleration, as far as it is known before it starts."""

    source: VoiceFolder
    texts: Texts
    plan: AcceleratePlan
    work: Path
    state: JobState
    say: Say
    runs: tuple[HeadRun, ...]

    def seconds(self, share: float) -> float:
        """Seconds that a step with `share` of the time may take."""
        return share * 60.0 * self.plan.minutes


def accelerate(
    place: str, lines: Sequence[str], plan: AcceleratePlan, work: Path, report: Path, source: str = "text",
    say: Say = print,
) -> list[Record]:  # fmt: skip
    """Train heads on what the voice itself says of `lines`, measure, and write heads, decoding.json and a report.

    place: a voice folder, which is replaced when all is done; `work`: where steps keep what they have; `source`: the
    name of the text in errors.

    Raises:
        UserError: No such voice, no usable line, or `work` belongs to another job.
    """
    folders.recover(place)
    folder = open_voice(place)
    voice = Voice.load(folder.path)
    texts = read_texts(voice, lines, source, plan.seed)
    fingerprint = hashlib.sha256(json.dumps([texts.training, texts.held]).encode()).hexdigest()
    job = {"voice": folder.card.files.get("text_to_semantic/model.safetensors"), "text": fingerprint,
           "plan": asdict(plan)}  # fmt: skip
    runs = tuple(head_runs(plan, voice.model.config, voice.drafting.heads))
    one = _Job(folder, texts, plan, work, JobState(work, job), say, runs)
    if texts.unusable:
        say(f"{source}: {texts.unusable} lines say nothing that the voice can read, and are left out")
    built = _build(one, voice)
    with one.state.timed("measure"):
        say("5/5 measuring what was won; leave the machine idle")
        records = _measure(built, texts, plan)
    write_report(Report(folder.card.name, plan, texts, one.state, records, _losses(one)), report)
    _put_in_place(built.folder, folder.path)
    return records


@dataclass(frozen=True)
class _Built:
    """The accelerated copy of the voice."""

    folder: Path
    voice: Voice


def _build(job: _Job, voice: Voice) -> _Built:
    """Everything up to the tuned copy."""
    plan, state = job.plan, job.state
    if job.runs:
        _train(job, voice)
    copy = job.work / "voice"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(job.source.path, copy)
    _keep_better_heads(job, voice, copy)
    _search(job, voice, copy)
    with state.timed("tune"):
        job.say("4/5 measuring drafts of every length and method; leave the machine idle")
        rows = tuple(count for count in TunePlan().rows if count <= max(plan.batch_sizes))
        tuned = tune_voice(copy, job.texts.held, TunePlan(rows=rows, tokens=80))
    return _Built(copy, tuned)


def _train(job: _Job, voice: Voice) -> None:
    """Samples of the voice, and the heads that learn from them."""
    plan, state = job.plan, job.state
    with state.timed("sample"):
        job.say(f"1/5 the voice speaks {len(job.texts.training)} texts to learn from")
        records = own_speech(voice, job.texts, plan, job.work / "samples", state, job.seconds(SAMPLING))
    for number, run in enumerate(job.runs, start=1):
        with state.timed(f"train {run.name}"):
            job.say(f"2/5 training {', '.join(run.heads)} ({number} of {len(job.runs)})")
            train_heads(voice, run, records, plan, job.work / run.name, state, job.seconds(run.share))


def _keep_better_heads(job: _Job, voice: Voice, copy: Path) -> None:
    """Put trained heads into the copy, but for those that draft worse than the voice's own."""
    options = replace(voice.defaults, batch_size=1, max_tokens=_CHOICE_TOKENS)
    for run in job.runs:
        for name, head in load_trained_heads(job.work / run.name).items():
            before = voice.drafting.heads.get(name)
            if before is not None:
                decided = job.state.decided(f"head {name}")
                if decided is None:
                    texts = job.texts.held[:_CHOICE_TEXTS]
                    found = choose_head(voice.model, name, before, head, texts, options)
                    decided = job.state.decide(f"head {name}", found.to_dict())
                choice = HeadChoice(**decided)
                job.say(f"     {name}: {choice}")
                if not choice.takes_new:
                    continue
            save_head(copy, head)


def _search(job: _Job, voice: Voice, copy: Path) -> None:
    """Find a skip set, and seal the copy with it."""
    trials = job.plan.skip_trials if voice.model.config.decoder_layers > 1 else 0
    skip = job.state.decided("skip")
    with job.state.timed("search"):
        if trials and skip is None:
            job.say(f"3/5 looking for blocks that a draft can skip, {trials} trials")
            options = replace(voice.defaults, batch_size=1, max_tokens=_SKIP_TOKENS)
            started, texts = time.monotonic(), job.texts.held[:_SKIP_TEXTS]
            find_skip_set(voice.model, texts[:1], options, trials=1)
            fitting = int(job.seconds(SEARCHING) / max(0.01, (time.monotonic() - started) * len(texts)))
            found, _ = find_skip_set(voice.model, texts, options, trials=max(2, min(trials, fitting)))
            skip = job.state.decide("skip", asdict(found))
    # What other heads cost says nothing of these.
    kept = {name: value for name, value in load_decoding_defaults(job.source).items() if name != "tuning"}
    if skip is not None:
        tuning = Tuning.from_dict({"methods": {}, "skip": skip}, str(job.state.path))
        kept = with_tuning(kept, voice.model, tuning)
    save_decoding_defaults(copy, kept)
    seal(copy, job.source.card)


def _measure(built: _Built, texts: Texts, plan: AcceleratePlan) -> list[Record]:
    """Every method with automatic drafts, and `auto`, at each batch size that the texts can fill."""
    voice = built.voice
    chosen = texts.enough(max(_FEWEST_MEASURED, 2 * max(plan.batch_sizes)))
    sizes = [size for size in plan.batch_sizes if size <= len(chosen)]
    cases = make_cases(["auto", *voice.methods], ["coupled"], ["auto"])
    runs = [run for size in sizes for run in _runs(voice, chosen, cases, size)]
    return make_records(runs, Conditions.of(voice.model, voice.defaults, asdict(plan)))


def _runs(voice: Voice, texts: list[tuple[int, ...]], cases: Sequence[Case], size: int) -> Iterator[Run]:
    """Turns of all cases, as in `spear_accel.bench.speed`, from ids; the first turn warms up on one batch.

    Small batches take long, and have as much to average over in fewer texts.
    """
    texts = texts[: max(_FEWEST_MEASURED, 2 * size)]
    for case in cases:
        voice.decode_ids(texts[:size], case.options(voice.defaults, size))
    for _ in range(_REPEATS):
        for case in cases:
            yield Run(case, size, voice.decode_ids(texts, case.options(voice.defaults, size)))


def _losses(job: _Job) -> dict[str, Any]:
    """The last validation of each training run."""
    found = {}
    for run in job.runs:
        lines = (job.work / run.name / "log.jsonl").read_text(encoding="utf-8").splitlines()
        validated = [json.loads(line) for line in lines if "validation/" in line]
        found[run.name] = validated[-1] if validated else {}
    return found


def _put_in_place(copy: Path, target: Path) -> None:
    try:
        with folders.replacing(target) as ready:
            shutil.copytree(copy, ready, dirs_exist_ok=True)
    except UserError as error:
        raise UserError(f"{error}; the accelerated voice is in {copy}") from error
