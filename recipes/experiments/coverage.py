"""How well the coverage guard finds skipped and repeated words, what it costs, and whom it suspects wrongly.

    PYTHONPATH=recipes/kathleen python recipes/experiments/coverage.py --text LINES.txt [--voice VOICE] [--seeds 2] \
        [--judge] [--markdown OUT.md]

Faults are made: of what the voice says, a stretch is cut out or said twice, the end is cut off, or the tokens are those
of another text. `--judge` has an outside recogniser (extra `eval`) hear the untouched utterances; the character error
rate of those that the guard suspects stands beside that of the others.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spear_accel import Voice
from spear_accel.alignment.attention import CoverageGuard, align, score
from spear_accel.bench.texts import split_lines
from spear_accel.storage import files

STRETCHES = (20, 30, 40, 60)
"""Tokens that are cut out or said twice."""
MARGIN = 15
"""Tokens at either end that no stretch touches."""


@dataclass(frozen=True)
class Said:
    """An untouched utterance."""

    text: str
    ids: list[int]
    tokens: Tensor


@dataclass(frozen=True)
class Cost:
    """Seconds of one processor, in all."""

    decoding: float
    aligning: float
    scoring: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="lines to say")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    voice, guard = Voice.load(arguments.voice), CoverageGuard()
    given = split_lines(arguments.text.read_text(encoding="utf-8"), str(arguments.text), voice)
    said, cost = say(voice, [one.text for line in given for one in voice.plan(line)], arguments.seeds)
    found = {name: suspected(voice, guard, cases) for name, cases in faults(said).items()}
    rates = error_rates(voice, guard, said) if arguments.judge else {}
    table = "\n".join((*lines(found), "", *cost_lines(cost, len(said)), *rate_lines(rates))) + "\n"
    if arguments.markdown:
        files.write_text(arguments.markdown, table)
    print(table)


def say(voice: Voice, texts: Sequence[str], seeds: int) -> tuple[list[Said], Cost]:
    """Every text with every seed, and what decoding, aligning and scoring took.

    Seconds are the processor's: with one thread they hold on a machine that others share.
    """
    ids = [voice.tokenizer.encode(text) for text in texts]
    said: list[Said] = []
    marks = []
    for seed in range(seeds):
        start = time.process_time()
        result = voice.decode_ids(ids, replace(voice.defaults, seed=seed))
        new = [Said(*one) for one in zip(texts, ids, result.tokens, strict=True)]
        decoded = time.process_time()
        for one in new:
            align(voice.model, one.ids, one.tokens)
        aligned = time.process_time()
        for one in new:
            score(voice.model, one.ids, one.tokens)
        marks.append((decoded - start, aligned - decoded, time.process_time() - aligned))
        said += new
    return said, Cost(*(sum(column) for column in zip(*marks, strict=True)))


def faults(said: Sequence[Said]) -> dict[str, list[Said]]:
    """By name; untouched utterances first. Of utterances that are too short for the longest stretch nothing is made."""
    draw = random.Random(0)
    cases: dict[str, list[Said]] = {"untouched": list(said)}
    for number, one in enumerate(said):
        tokens, count = one.tokens, len(one.tokens)
        if count < STRETCHES[-1] + 2 * MARGIN + 1:
            continue
        made = {"cut off at .8": tokens[: count * 4 // 5], "cut off at .6": tokens[: count * 3 // 5]}
        for size in STRETCHES:
            first = draw.randrange(MARGIN, count - size - MARGIN)
            last = first + size
            made[f"{size} tokens cut out"] = torch.cat((tokens[:first], tokens[last:]))
            made[f"{size} tokens twice"] = torch.cat((tokens[:last], tokens[first:]))
        other = said[(number + 7) % len(said)]
        if other.text != one.text:
            made["of another text"] = other.tokens
        for name, changed in made.items():
            cases.setdefault(name, []).append(replace(one, tokens=changed))
    return cases


def suspected(voice: Voice, guard: CoverageGuard, cases: Sequence[Said]) -> list[bool]:
    return [guard.fault(align(voice.model, one.ids, one.tokens)) is not None for one in cases]


def error_rates(voice: Voice, guard: CoverageGuard, said: Sequence[Said]) -> dict[str, tuple[int, float]]:
    """Number and character error rate of untouched utterances, by what the guard thinks."""
    from recognisers import heard
    from words import character_error_rate

    sounds = ((np.asarray(voice.semantic_to_waveform(one.tokens)), voice.sample_rate) for one in said)
    understood, doubts = heard(sounds), suspected(voice, guard, said)
    rates = {}
    for name, wanted in (("suspected", True), ("not suspected", False)):
        rows = [(one.text, text) for one, text, doubt in zip(said, understood, doubts, strict=True) if doubt == wanted]
        if rows:
            rates[name] = len(rows), character_error_rate([text for text, _ in rows], [text for _, text in rows])
    return rates


def lines(found: Mapping[str, Sequence[bool]]) -> Iterator[str]:
    """A Markdown table of what the guard suspects."""
    yield "| utterances | number | suspected |"
    yield "| --- | ---: | ---: |"
    for name, doubts in found.items():
        yield f"| {name} | {len(doubts)} | {sum(doubts) / len(doubts):.3f} |"


def cost_lines(cost: Cost, count: int) -> Iterator[str]:
    """Milliseconds an utterance."""
    yield "| | ms an utterance | of decoding |"
    yield "| --- | ---: | ---: |"
    for name, seconds in (("decoding", cost.decoding), ("align", cost.aligning), ("score", cost.scoring)):
        yield f"| {name} | {seconds / count * 1e3:.1f} | {seconds / cost.decoding:.2f} |"


def rate_lines(rates: Mapping[str, tuple[int, float]]) -> Iterator[str]:
    """Empty without a judge."""
    if rates:
        yield from ("", "| untouched | number | CER |", "| --- | ---: | ---: |")
    for name, (count, rate) in rates.items():
        yield f"| {name} | {count} | {rate:.3f} |"


if __name__ == "__main__":
    main()
