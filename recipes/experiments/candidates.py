"""What candidates bring: coupled acceptance with k = 1..4 beside what any rule could accept of k independent drafts.

    python recipes/experiments/candidates.py --text LINES.txt [--voice VOICE] [--methods METHOD,...] [--markdown OUT.md]

The voice speaks the lines autoregressively; then every head, teacher forced on these tokens, tells its law q of each
position of a draft beside the target's p. Coupled candidates are the k highest of `log q + noise`, and one is right
where it is the target's draw with the same noise. The bound is the optimal transport from k independent draws of q to p
(`spear_accel.bench.transport`), which no rule for independent drafts can pass. A second table tells how often the first
candidate is right by how far its noisy score lies above the second's: drafts are grown by that
(`decoding/control/dynamic.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from spear_accel import Voice
from spear_accel.bench import split_lines
from spear_accel.bench.transport import independent_bound
from spear_accel.decoding.noise import gumbel_from, row_words, uniforms, utterance_key
from spear_accel.decoding.sampling import log_probabilities
from spear_accel.heads import trunk_pass
from spear_accel.storage import files
from spear_accel.text import normalise

MOST = 4
"""k."""
EDGES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Of gaps, in nats."""


@dataclass
class Counts:
    """Sums over positions. coupled, bound: [n, k] by position of the draft and candidates; there: [n, 1] positions;
    right, drawn: [gaps] first candidates that were right, and all, by gap."""

    coupled: Tensor | float = 0.0
    bound: Tensor | float = 0.0
    there: Tensor | float = 0.0
    right: Tensor | float = 0.0
    drawn: Tensor | float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="utterances, one a line")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--methods", help="default: all heads of the voice")
    parser.add_argument("--utterances", type=int, default=32)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    voice = Voice.load(arguments.voice)
    texts = split_lines(arguments.text.read_text(encoding="utf-8"), str(arguments.text), voice)
    texts = texts[: arguments.utterances]
    methods = arguments.methods.split(",") if arguments.methods else list(voice.drafting.heads)
    found = {method: measure(voice, texts, method) for method in methods}
    table = "\n".join((*lines(found), "", *gap_lines(found))) + "\n"
    if arguments.markdown:
        files.write_text(arguments.markdown, table)
    print(table)


@torch.inference_mode()
def measure(voice: Voice, texts: list[str], method: str) -> Counts:
    """Of one head, over all utterances."""
    head = voice.drafting.heads[method].float()
    spoken = voice.text_to_semantic(texts, replace(voice.defaults, method="autoregressive"))
    counts = Counts()
    for text, tokens, seed in zip(texts, spoken.tokens, spoken.seeds, strict=True):
        counts = counts + _one(voice, head, voice.tokenizer.encode(normalise(text).text), tokens, seed)
    return counts


def _one(voice: Voice, head: torch.nn.Module, ids: list[int], tokens: Tensor, seed: int) -> Counts:
    config, sampling = voice.model.config, voice.defaults.sampling
    text = [*ids, config.text_eos_id] if config.text_eos_id is not None else ids
    trunk = trunk_pass(voice.model, torch.tensor([text]), tokens[None])
    positions = torch.arange(len(tokens) + 1)
    logits = head.forward_teacher_forced(trunk, positions)[0]  # type: ignore[operator]
    words, every = torch.tensor([row_words(seed, utterance_key(ids))]), torch.arange(config.vocab)
    noise = gumbel_from(uniforms(words, positions[None], every))[0]
    log_p = log_probabilities(trunk.logits[0], sampling)
    drawn = (log_p + noise).argmax(-1)
    by_depth, gaps, first = [], [], []
    for depth in range(logits.shape[1]):
        here = positions[: len(positions) - depth]
        log_q, ahead = log_probabilities(logits[here, depth], sampling), here + depth
        highest = (log_q + noise[ahead]).topk(MOST, dim=-1)
        right = highest.indices == drawn[ahead, None]
        p, q = log_p[ahead].exp().double(), log_q.exp().double()
        best = torch.stack([independent_bound(p, q, count).sum() for count in range(1, MOST + 1)])
        by_depth.append((right.cumsum(dim=-1).sum(dim=0).double(), best, torch.tensor([float(len(here))])))
        gaps.append(highest.values[:, 0] - highest.values[:, 1])
        first.append(right[:, 0].double())
    coupled, bound, there = (torch.stack(column) for column in zip(*by_depth, strict=True))
    place, bins = torch.bucketize(torch.cat(gaps), torch.tensor(EDGES)), len(EDGES) + 1
    return Counts(coupled, bound, there, place.bincount(torch.cat(first), bins), place.bincount(minlength=bins))


def lines(found: Mapping[str, Counts]) -> Iterator[str]:
    """A Markdown table: acceptance by position and candidates."""
    ways = [f"{name}, k = {k}" for name in ("coupled", "bound") for k in range(1, MOST + 1)]
    yield "| method | position | " + " | ".join(ways) + " |"
    yield "| --- " + "| ---: " * (1 + len(ways)) + "|"
    for method, counts in found.items():
        for depth, row in enumerate((torch.cat((counts.coupled, counts.bound), dim=1) / counts.there).tolist(), 1):  # type: ignore[arg-type]
            yield f"| {method} | {depth} | " + " | ".join(f"{share:.3f}" for share in row) + " |"


def gap_lines(found: Mapping[str, Counts]) -> Iterator[str]:
    """A Markdown table: how often the first candidate is right, by its gap to the second."""
    names = [f"below {EDGES[0]}", *(f"{low} to {high}" for low, high in pairwise(EDGES)), f"above {EDGES[-1]}"]
    yield "| gap in nats | " + " | ".join(names) + " |"
    yield "| --- " + "| ---: " * len(names) + "|"
    for method, counts in found.items():
        yield f"| {method} | " + " | ".join(f"{share:.3f}" for share in (counts.right / counts.drawn).tolist()) + " |"  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
