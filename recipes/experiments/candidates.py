"""What candidates bring: coupled acceptance with k = 1..4 beside what any rule could accept of k independent drafts.

    python recipes/experiments/candidates.py --text LINES.txt [--voice VOICE] [--methods METHOD,...] [--markdown OUT.md]

The voice speaks the lines autoregressively; then every head, teacher forced on these tokens, tells its law q of each
position of a draft beside the target's p. Coupled candidates are the k highest of `log q + noise`, and one is right
where it is the target's draw with the same noise. The bound is the optimal transport from k independent draws of q to p
(`spear_accel.bench.transport`), which no rule for independent drafts can pass.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from spear_accel import Voice
from spear_accel.bench import split_lines
from spear_accel.bench.transport import independent_bound
from spear_accel.decoding.noise import gumbel_from, row_words, uniforms, utterance_key
from spear_accel.decoding.sampling import log_probabilities
from spear_accel.heads import trunk_pass
from spear_accel.text import normalise

MOST = 4
"""k."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="utterances, one a line")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--methods", help="all heads of the voice if left out")
    parser.add_argument("--utterances", type=int, default=32)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    voice = Voice.load(arguments.voice)
    texts = split_lines(arguments.text.read_text(encoding="utf-8"), str(arguments.text))[: arguments.utterances]
    methods = arguments.methods.split(",") if arguments.methods else list(voice.drafting.heads)
    table = "\n".join(lines({method: measure(voice, texts, method) for method in methods})) + "\n"
    if arguments.markdown:
        arguments.markdown.write_text(table)
    print(table)


@torch.inference_mode()
def measure(voice: Voice, texts: list[str], method: str) -> tuple[Tensor, Tensor]:
    """Mean acceptance [n, k] by position of the draft and number of candidates: coupled, and the bound."""
    head = voice.drafting.heads[method].float()
    spoken = voice.text_to_semantic(texts, replace(voice.defaults, method="autoregressive"))
    coupled, bound, counted = torch.zeros(1, MOST), torch.zeros(1, MOST), torch.zeros(1, 1)
    for text, tokens, seed in zip(texts, spoken.tokens, spoken.seeds, strict=True):
        found, best, there = _one(voice, head, voice.tokenizer.encode(normalise(text).text), tokens, seed)
        coupled, bound, counted = coupled + found, bound + best, counted + there
    return coupled / counted, bound / counted


def _one(voice: Voice, head: torch.nn.Module, ids: list[int], tokens: Tensor, seed: int) -> tuple[Tensor, ...]:
    """Sums [n, k] of coupled acceptance and bound over one utterance, and the number [n, 1] of positions."""
    config, sampling = voice.model.config, voice.defaults.sampling
    text = [*ids, config.text_eos_id] if config.text_eos_id is not None else ids
    trunk = trunk_pass(voice.model, torch.tensor([text]), tokens[None])
    positions = torch.arange(len(tokens) + 1)
    laws = head.teach(trunk, positions)[0]  # type: ignore[operator]
    words, every = torch.tensor([row_words(seed, utterance_key(ids))]), torch.arange(config.vocab)
    noise = gumbel_from(uniforms(words, positions[None], every))[0]
    log_p = log_probabilities(trunk.logits[0], sampling)
    drawn = (log_p + noise).argmax(-1)
    sums = []
    for depth in range(laws.shape[1]):
        here = positions[: len(positions) - depth]
        log_q, ahead = log_probabilities(laws[here, depth], sampling), here + depth
        highest = (log_q + noise[ahead]).topk(MOST, dim=-1).indices
        right = (highest == drawn[ahead, None]).cumsum(dim=-1).float().sum(dim=0)
        p, q = log_p[ahead].exp().double(), log_q.exp().double()
        best = torch.stack([independent_bound(p, q, count).sum() for count in range(1, MOST + 1)]).float()
        sums.append((right, best, torch.tensor([float(len(here))])))
    return tuple(torch.stack(column) for column in zip(*sums, strict=True))


def lines(found: dict[str, tuple[Tensor, Tensor]]) -> Iterator[str]:
    """A Markdown table."""
    yield (
        "| method | position | "
        + " | ".join(f"coupled, k = {k}" for k in range(1, MOST + 1))
        + " | "
        + " | ".join(f"bound, k = {k}" for k in range(1, MOST + 1))
        + " |"
    )
    yield "| --- " + "| ---: " * (1 + 2 * MOST) + "|"
    for method, (coupled, bound) in found.items():
        for depth, (own, best) in enumerate(zip(coupled.tolist(), bound.tolist(), strict=True), 1):
            cells = " | ".join(f"{share:.3f}" for share in (*own, *best))
            yield f"| {method} | {depth} | {cells} |"


if __name__ == "__main__":
    main()
