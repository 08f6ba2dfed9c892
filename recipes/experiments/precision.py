"""What rounding a voice costs: how far its law moves, how many draws change, and what recognisers hear of it.

    python recipes/experiments/precision.py --text LINES.txt [--voice VOICE] [--recogniser moonshine pocketsphinx] \
        [--model FOLDER] [--json OUT.json]

The reference is PyTorch in float32. Every precision says the same texts with the same seeds; its law is compared along
the tokens of the reference, position by position. Needs the extra `eval`, and the recogniser's package.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from spear_accel import DecodeOptions, Voice
from spear_accel.bench import split_lines
from spear_accel.errors import UserError
from spear_accel.model.native_backend import NativeBackend
from spear_accel.native import TORCH
from spear_accel.storage import files

sys.path.insert(0, str(Path(__file__).parent.parent / "kathleen"))

PRECISIONS = ("float32", "bfloat16", "int8")
REFERENCE = "PyTorch float32"


@dataclass
class Outcome:
    """One precision over all texts."""

    precision: str
    divergence: float
    """Mean Kullback-Leibler divergence of a token's law from the reference's, in nats."""
    changed_draws: float
    """Share of positions where the same noise draws another token."""
    changed_texts: float
    """Share of texts that come out with other tokens."""
    word_errors: dict[str, list[float]]
    """Of each recogniser: the rate, and the 95 % interval of its difference from the reference's, paired by text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="sentences, one a line")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--recogniser", nargs="*", default=["pocketsphinx"])
    parser.add_argument("--model", help="of the recogniser: its model's folder or name")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        outcomes = run(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        files.write_text(arguments.json, json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    for outcome in outcomes:
        print(outcome)


def run(arguments: argparse.Namespace) -> list[Outcome]:
    voice = Voice.load(arguments.voice, dtype="float32")
    texts = split_lines(arguments.text.read_text(encoding="utf-8"), str(arguments.text), voice)[: arguments.sentences]
    decoder = voice.model.decoder
    decoder.backend = NativeBackend(decoder, TORCH)
    wanted = said(voice, texts)
    laws = [law(voice, text, tokens) for text, tokens in zip(texts, wanted, strict=True)]
    heard = {name: errors_of(voice, texts, wanted, name, arguments.model) for name in arguments.recogniser}
    outcomes = [Outcome(REFERENCE, 0.0, 0.0, 0.0, {name: [rate(errors)] for name, errors in heard.items()})]
    for precision in PRECISIONS:
        other = Voice.load(arguments.voice, dtype=precision)
        if not other.model.decoder.backend.native:
            raise UserError("the native step was not built here: there is nothing to compare")
        found = said(other, texts)
        near = [law(other, text, tokens) for text, tokens in zip(texts, wanted, strict=True)]
        rates = {}
        for name, before in heard.items():
            after = errors_of(other, texts, found, name, arguments.model)
            rates[name] = [rate(after), *difference(before, after)]
        changed = sum(not torch.equal(one, two) for one, two in zip(wanted, found, strict=True)) / len(texts)
        outcomes.append(Outcome(f"native {precision}", *distance(laws, near), changed, rates))
        print(outcomes[-1], file=sys.stderr, flush=True)
    return outcomes


def said(voice: Voice, texts: Sequence[str]) -> list[Tensor]:
    options = DecodeOptions(method="autoregressive", batch_size=16, seed=1)
    return list(voice.text_to_semantic(texts, options).tokens)


@torch.inference_mode()
def law(voice: Voice, text: str, tokens: Tensor) -> Tensor:
    """Log-probabilities [n + 1, V] of the tokens that follow each of `tokens` [n], the first included."""
    model = voice.model
    state = model.start(model.pad_text([voice.tokenizer.encode(voice.plan(text)[0].text)]), len(tokens) + 1)
    block = torch.cat((torch.tensor([model.config.start_id]), tokens))[None]
    return (
        model.decoder.logits(model.decoder.forward(block, state))[0].float() / voice.defaults.temperature
    ).log_softmax(-1)


def distance(laws: Sequence[Tensor], near: Sequence[Tensor]) -> tuple[float, float]:
    """Mean divergence, and the share of draws that differ under one noise."""
    generator = torch.Generator().manual_seed(0)
    total = changed = count = 0.0
    for one, two in zip(laws, near, strict=True):
        gumbel = -torch.empty_like(one).exponential_(generator=generator).log()
        total += float((one.exp() * (one - two)).sum())
        changed += int(((one + gumbel).argmax(-1) != (two + gumbel).argmax(-1)).sum())
        count += len(one)
    return total / count, changed / count


def errors_of(
    voice: Voice, texts: Sequence[str], tokens: Sequence[Tensor], recogniser: str, model: str | None
) -> list[tuple[int, int]]:
    """Word errors and words of each text, spoken and heard."""
    from recognisers import heard
    from words import word_errors

    silence = np.zeros(voice.sample_rate, dtype=np.float32)
    sounds = (
        (np.asarray(voice.semantic_to_waveform(row)) if len(row) else silence, voice.sample_rate)
        for row in tqdm(tokens, desc=recogniser, mininterval=5)
    )
    return [word_errors(text, words) for text, words in zip(texts, heard(sounds, recogniser, model), strict=True)]


def rate(errors: Sequence[tuple[int, int]]) -> float:
    return sum(edits for edits, _ in errors) / max(1, sum(words for _, words in errors))


def difference(before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """95 % interval of the change in word error rate, texts drawn anew (bootstrap)."""
    from words import interval

    return interval([(two[0] - one[0], one[1]) for one, two in zip(before, after, strict=True)])


if __name__ == "__main__":
    main()
