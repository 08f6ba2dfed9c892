"""Every method by every rule on one voice: acceptance, cost, speed-up, and what lossy rules do to the words.

    python recipes/experiments/methods.py --text LINES.txt [--voice VOICE] [--draft-model VOICE] [--judged METHOD,...] \
        [--json OUT.json] [--markdown OUT.md]

Texts, seeds and threads are the same for all, turns are interleaved as in `spear-accel bench`, whose records it writes.
What a method cannot do with a rule is left out. `--judged` names the methods whose lossy tokens are spoken and heard by
an outside recogniser (extra `eval`); their character error rate stands beside that of autoregressive decoding.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.bench import AUTOREGRESSIVE, Case, Record, Run, make_cases, make_records, measure, split_lines
from spear_accel.bench.records import Conditions
from spear_accel.decoding.registry import rule_names
from spear_accel.errors import UserError
from spear_accel.storage import files

sys.path.insert(0, str(Path(__file__).parent.parent / "kathleen"))

_POSITIONS = 4
_HEADER = ("method", "rule", "T", "batch", "accepted by position", "tokens per call", "draft cost", "speed-up", "keeps",
           "CER")  # fmt: skip
_KEEPS = {"coupled": "tokens", "rejection": "law", "k-seq": "law"}


@dataclass(frozen=True)
class Row:
    """A record, and the character error rate of its tokens where they were judged."""

    record: Record
    cer: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="utterances, one a line")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--draft-model", help="a voice whose model drafts for method draft-model")
    parser.add_argument("--utterances", type=int, default=64)
    parser.add_argument("--alone", type=int, default=12, help="utterances at batch size 1, which takes longest")
    parser.add_argument("--batch-sizes", default="1,8,32")
    parser.add_argument("--temperatures", help="default: 0 and the voice's own")
    parser.add_argument("--judged", default="", help="methods whose lossy tokens are heard")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    voice = Voice.load(arguments.voice, draft_model=arguments.draft_model)
    texts = split_lines(arguments.text.read_text(encoding="utf-8"), str(arguments.text), voice)
    texts = texts[: arguments.utterances]
    default = voice.defaults.temperature
    given = arguments.temperatures
    rows: list[Row] = []
    for temperature in [0.0, default] if given is None else [float(item) for item in given.split(",")]:
        base = replace(voice.defaults, temperature=temperature)
        judged = arguments.judged.split(",") if temperature == default and arguments.judged else []
        for size in map(int, arguments.batch_sizes.split(",")):
            spoken = texts[: arguments.alone] if size == 1 else texts
            rows += compare(voice, spoken, size, base, arguments.repeats, judged if size > 1 else [])
            judged = judged if size == 1 else []
            print(f"temperature {temperature}, batch size {size}: done", file=sys.stderr, flush=True)
            if arguments.json:
                files.write_text(arguments.json, json.dumps([asdict(row.record) for row in rows], indent=1) + "\n")
    table = "\n".join(lines(rows)) + "\n"
    if arguments.markdown:
        files.write_text(arguments.markdown, table)
    print(table)


def compare(
    voice: Voice, texts: Sequence[str], size: int, base: DecodeOptions, repeats: int, judged: Sequence[str]
) -> Iterator[Row]:
    """All that can run, at one batch size and temperature."""
    methods = [method for method in voice.methods if method != AUTOREGRESSIVE.method]
    cases = [case for case in make_cases(methods, rule_names(), ["auto"]) if _runs(voice, case, base)]
    runs = list(measure(voice, texts, cases, [size], base, repeats))
    conditions = Conditions.of(voice.model, base)
    by_case = {run.case: run for run in runs}
    heard = [AUTOREGRESSIVE, *(c for c in cases if c.method in judged and c.verify not in _KEEPS)] if judged else []
    rates = {case: error_rate(voice, texts, by_case[case]) for case in heard}
    for case, record in zip(by_case, make_records(runs, conditions), strict=True):
        yield Row(record, rates.get(case))


def _runs(voice: Voice, case: Case, base: DecodeOptions) -> bool:
    try:
        voice.text_to_semantic(["Yes."], case.options(base, 1))
    except UserError:
        return False
    return True


def error_rate(voice: Voice, texts: Sequence[str], run: Run) -> float:
    """Of the run's tokens, spoken and heard by pocketsphinx."""
    from recognisers import heard
    from words import character_error_rate

    silence = torch.zeros(voice.sample_rate)
    sound = [voice.semantic_to_waveform(row) if len(row) else silence for row in run.result.tokens]
    said = heard([(np.asarray(waveform), voice.sample_rate) for waveform in sound])
    return character_error_rate(list(texts), said)


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """A Markdown table, by temperature, batch size and speed."""
    yield "| " + " | ".join(_HEADER) + " |"
    yield "| --- " * 2 + "| ---: " * (len(_HEADER) - 2) + "|"
    for row in sorted(rows, key=lambda row: (-row.record.temperature, row.record.batch_size, -row.record.speedup)):
        record = row.record
        passed = " ".join(f"{share:.2f}"[1:] for share in (record.acceptance_by_position or ())[:_POSITIONS])
        keeps = "tokens" if record.method == AUTOREGRESSIVE.method else _KEEPS.get(record.verify, "neither")
        cost = "-" if record.draft_cost is None else f"{record.draft_cost:.3f}"
        heard = "" if row.cer is None else f"{row.cer:.3f}"
        cells = (record.method, record.verify, record.temperature, record.batch_size, passed or "-",
                 f"{record.block_efficiency:.2f}", cost, f"{record.speedup:.2f}", keeps, heard)  # fmt: skip
        yield "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()
