"""Does every drafter leave every token as it is? The coupled rule on a real voice, against each row decoded alone.

    python recipes/experiments/equality.py --text LINES.txt [--voice VOICE] [--dtype int8] [--json OUT]

The reference is autoregressive decoding at batch size 1. With the native step any difference is a fault, and the script
ends with exit code 1. With PyTorch the two best noisy scores of the reference are looked at where a token differs:
closer than 1e-4 they may change places by rounding, and the utterance counts as a near tie.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.bench import first_difference, split_lines
from spear_accel.decoding import DecodeResult
from spear_accel.decoding.noise import gumbel_from, row_words, uniforms, utterance_key
from spear_accel.decoding.sampling import log_probabilities
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.text import normalise

NEAR = 1e-4


@dataclass
class Outcome:
    """One way to decode all sentences."""

    method: str
    draft_length: int | str
    batch_size: int
    temperature: float
    sentences: int
    tokens: int
    identical: int
    near_ties: int
    faults: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="sentences, one a line")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--dtype", default="auto", help="precision of the target model")
    parser.add_argument("--draft-model", help="a voice whose model drafts for method draft-model")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--methods", help="default: all that the voice can run")
    parser.add_argument("--draft-lengths", default="1,2,4,8,auto")
    parser.add_argument("--batch-sizes", default="1,4,32")
    parser.add_argument("--temperatures", help="default: 0, the voice's own and 1")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    voice = Voice.load(arguments.voice, dtype=arguments.dtype, draft_model=arguments.draft_model)
    backend = voice.model.decoder.backend
    print(f"{'native step' if backend.native else 'PyTorch'}, {backend.precision}", file=sys.stderr)
    texts = split_lines(arguments.text.read_text(encoding="utf-8"), str(arguments.text), voice)
    texts = texts[: arguments.sentences]
    default = voice.defaults.temperature
    given = arguments.temperatures
    temperatures = [0.0, default, 1.0] if given is None else [float(item) for item in given.split(",")]
    lengths = [item if item == "auto" else int(item) for item in arguments.draft_lengths.split(",")]
    sizes = [int(item) for item in arguments.batch_sizes.split(",")]
    methods = arguments.methods.split(",") if arguments.methods else [m for m in voice.methods if m != "autoregressive"]
    outcomes = []
    for outcome in compare(voice, texts, methods, lengths, sizes, temperatures):
        outcomes.append(outcome)
        print(*(f"{key} {value}" for key, value in asdict(outcome).items()), sep="  ", flush=True)
    if arguments.json:
        files.write_text(arguments.json, json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    totals = {key: sum(getattr(o, key) for o in outcomes) for key in ("sentences", "tokens", "near_ties", "faults")}
    print(f"{len(outcomes)} runs:", *(f"{value} {key}" for key, value in totals.items()))
    sys.exit(1 if totals["faults"] else 0)


def compare(
    voice: Voice,
    texts: Sequence[str],
    methods: Sequence[str],
    lengths: Sequence[Any],
    sizes: Sequence[int],
    temperatures: Sequence[float],
) -> Iterator[Outcome]:
    """Every combination; autoregressive decoding in batches is among them."""
    for temperature in temperatures:
        base = replace(voice.defaults, temperature=temperature, verify="coupled", method="autoregressive")
        alone = voice.text_to_semantic(texts, replace(base, batch_size=1))
        cases = [("autoregressive", 0, size) for size in sizes if size > 1]
        for method, length, size in [*cases, *product(methods, lengths, sizes)]:
            options = replace(base, method=method, draft_length=length, batch_size=size)
            started = time.perf_counter()
            try:
                found = voice.text_to_semantic(texts, options)
            except UserError as error:
                # A parallel head drafts no more than its horizon.
                print(f"left out: {error}", file=sys.stderr)
                continue
            seconds = time.perf_counter() - started
            yield _outcome(voice, texts, alone, found, options, seconds)


def _outcome(
    voice: Voice, texts: Sequence[str], alone: DecodeResult, found: DecodeResult, options: DecodeOptions, seconds: float
) -> Outcome:
    near = faults = 0
    for index, (wanted, row) in enumerate(zip(alone.tokens, found.tokens, strict=True)):
        difference = first_difference([wanted], [row])
        if difference is not None:
            excused = not voice.model.decoder.backend.native
            close = (
                excused and _gap(voice, texts[index], wanted[: difference.position], alone.seeds[index], options) < NEAR
            )
            near, faults = near + close, faults + (not close)
    return Outcome(
        options.method, options.draft_length, options.batch_size, options.temperature, len(texts),
        sum(map(len, found.tokens)), len(texts) - near - faults, near, faults, round(seconds, 2),
    )  # fmt: skip


@torch.inference_mode()
def _gap(voice: Voice, text: str, prefix: torch.Tensor, seed: int, options: DecodeOptions) -> float:
    """Between the two best noisy scores of the token behind `prefix`."""
    ids = voice.tokenizer.encode(normalise(text).text)
    config = voice.model.config
    encoded = [*ids, config.text_eos_id] if config.text_eos_id is not None else ids
    logits = voice.model(torch.tensor([encoded]), prefix[None])[0, -1]
    scores = logits.double() if options.temperature == 0.0 else log_probabilities(logits, options.sampling).double()
    if options.temperature > 0.0:
        words, position = torch.tensor([row_words(seed, utterance_key(ids))]), torch.tensor([[len(prefix)]])
        scores = scores + gumbel_from(uniforms(words, position, torch.arange(config.vocab)))[0, 0]
    best = scores.topk(2).values
    return float(best[0] - best[1])


if __name__ == "__main__":
    main()
