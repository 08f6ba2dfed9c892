"""The slow, obvious oracle: one utterance, no cache, the whole model again for every token.

Every faster way to decode must give its tokens. Knows no batches, drafts or states.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from spear_accel.decoding.noise import gumbel_from, retry_seed, row_words, uniforms
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.request import Request, RunningRequest, check_request
from spear_accel.decoding.sampling import choose, log_probabilities
from spear_accel.decoding.stopping import StoppingCriteria
from spear_accel.model import TextToSemantic


@torch.inference_mode()
def decode_reference(
    model: TextToSemantic,
    text: Sequence[int],
    options: DecodeOptions,
    stopping: StoppingCriteria | None = None,
    text_length: int | None = None,
) -> tuple[list[int], str, int]:
    """Tokens, stop reason and the seed that made them, for text ids without EOS.

    text_length: length of the text in the unit of the length bounds; by default the number of ids.
    """
    stopping = stopping or StoppingCriteria()
    request = Request(text, text_length=text_length)
    utterance = check_request(model.eval().config, request, options, stopping)
    retries = 0 if options.temperature == 0.0 else options.loop_retries
    for attempt in range(retries + 1):
        seed = retry_seed(utterance.first_seed, attempt)
        tokens, reason = _attempt(model, utterance, options, stopping, seed)
        if reason != "loop":
            break
    return tokens, reason, seed


def _attempt(
    model: TextToSemantic, utterance: RunningRequest, options: DecodeOptions, stopping: StoppingCriteria, seed: int
) -> tuple[list[int], str]:
    text = torch.tensor([utterance.text], device=model.device)
    tokens: list[int] = []
    while True:
        token = _next_token(model, text, tokens, utterance, options, seed)
        if token in model.config.eos_ids:
            return tokens, "eos"
        tokens.append(token)
        if ends_in_loop(tokens, stopping.loop.span, stopping.loop.period):
            return tokens, "loop"
        if len(tokens) >= utterance.max_tokens:
            return tokens, "max_length"


def _next_token(
    model: TextToSemantic,
    text: torch.Tensor,
    tokens: list[int],
    utterance: RunningRequest,
    options: DecodeOptions,
    seed: int,
) -> int:
    device = model.device
    semantic = torch.tensor([tokens], dtype=torch.int64, device=device)
    logits = model(text, semantic)[0, -1]
    vocabulary = torch.arange(model.config.vocab, device=device)
    forbidden = vocabulary == model.config.eos_id if len(tokens) < utterance.min_tokens else None
    if model.config.rules is not None:
        banned = model.config.rules.banned(
            tokens, model.config.eos_ids, utterance.min_tokens, utterance.max_tokens, model.config.vocab
        )
        forbidden = torch.isin(vocabulary, torch.tensor(sorted(banned), device=device))
    recent = tokens[-options.repetition_window :] or [-1]
    log_p = log_probabilities(logits, options.sampling, torch.tensor(recent, device=device), forbidden)
    if options.temperature == 0.0:
        return int(choose(log_p, None))
    words = torch.tensor([row_words(seed, utterance.key)], device=device)
    position = torch.tensor([[len(tokens)]], device=device)
    return int(choose(log_p, gumbel_from(uniforms(words, position, vocabulary))[0, 0]))


def ends_in_loop(tokens: Sequence[int], span: int, period: int) -> bool:
    """Whether the last `span` tokens are one cycle of up to `period` tokens, repeated."""
    last = list(tokens[-span:])
    if len(last) < span:
        return False
    return any(last[p:] == last[:-p] for p in range(1, period + 1))
