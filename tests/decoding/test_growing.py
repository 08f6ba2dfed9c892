"""Tokens handed over while utterances grow: the same tokens, in order, and loops that cannot be taken back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding import (
    DecodeOptions,
    Engine,
    LengthBounds,
    LoopCriterion,
    RequestOutput,
    RequestResult,
    StoppingCriteria,
)
from spear_accel.decoding.draft.ngram import NgramDrafter
from spear_accel.decoding.stopping import LoopDetector
from spear_accel.model import TextToSemantic

GUARDS = StoppingCriteria(length=LengthBounds(tokens_per_unit=5.0, shortest=0.3, longest=1.5, slack=10))
LOOPS = StoppingCriteria(length=LengthBounds(tokens_per_unit=12.0, shortest=1.0), loop=LoopCriterion(span=20, period=1))
HELD = 20 - 1 - 12
"""Of a loop under `LOOPS`: its first token and twelve repetitions stand."""


def gather(outputs: list[RequestOutput], count: int) -> tuple[list[list[int]], list[RequestResult]]:
    """Tokens and ends by utterance; checks that they came in order and fit together."""
    assert [output.index for output in outputs] == sorted(output.index for output in outputs)
    tokens: list[list[int]] = [[] for _ in range(count)]
    for output in outputs:
        assert output.new_tokens.dtype == torch.int64 and (len(output.new_tokens) or output.finished)
        tokens[output.index] += output.new_tokens.tolist()
    assert [output.index for output in outputs if output.finished] == list(range(count))
    ends = [output.result for output in outputs if output.result is not None]
    assert [end.tokens.tolist() for end in ends] == tokens
    return tokens, ends


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("chunks", [(1,), (5, 10, 20)])
@pytest.mark.parametrize("drafts", [0, 4])
def test_joined_they_are_the_same(
    model: TextToSemantic, texts: list[list[int]], batch_size: int, chunks: tuple[int, ...], drafts: int
) -> None:
    options = DecodeOptions(batch_size=batch_size, seed=5)
    drafter = NgramDrafter(drafts) if drafts else None
    whole = Engine(model, options, GUARDS).decode(texts)
    growths = list(Engine(model, options, GUARDS, drafter).decode_growing(texts, chunks=chunks))
    tokens, ends = gather(growths, len(texts))
    assert tokens == [row.tolist() for row in whole.tokens]
    assert [(end.stop_reason, end.seed, end.attempts) for end in ends] == list(
        zip(whole.stop_reasons, whole.seeds, whole.attempts, strict=True)
    )
    assert [end.stats.committed for end in ends] == [stats.committed for stats in whole.utterance_stats]
    assert len(growths) > len(texts)


def test_chunks_are_as_large_as_asked(model: TextToSemantic, texts: list[list[int]]) -> None:
    growths = Engine(model, DecodeOptions(), GUARDS).decode_growing([texts[5]], chunks=(3, 6, 12))
    sizes = [len(growth.new_tokens) for growth in growths]
    assert sizes[:2] == [3, 6] and len(sizes) > 3
    assert min(sizes[2:-1]) >= 12


def test_the_first_tokens_come_early(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(batch_size=2), GUARDS)
    rounds: list[int] = []
    observe = engine.config.controller.observe
    engine.config.controller.observe = lambda *given: (rounds.append(1), observe(*given))[1]  # type: ignore[method-assign]
    growths = engine.decode_growing(texts)
    assert next(growths).index == 0 and len(rounds) == 1
    list(growths)
    assert len(rounds) > 20
    assert list(engine.decode_growing([])) == []


def often(model: TextToSemantic) -> TextToSemantic:
    """A copy that often holds token 7."""
    copy = TextToSemantic(model.config).eval()
    copy.load_state_dict(model.state_dict())
    logits = copy.decoder.logits
    shift = 3.0 * (torch.arange(model.config.vocab) == 7)
    copy.decoder.logits = lambda hidden: logits(hidden) + shift  # type: ignore[method-assign]
    return copy


def test_a_loop_behind_given_tokens_is_cut_off_and_not_tried_again(model: TextToSemantic) -> None:
    stuck, texts = often(model), [[3 + n, 4, 5, 6] for n in range(20)]
    once = Engine(stuck, DecodeOptions(temperature=1.0, loop_retries=0), LOOPS).decode(texts)
    engine = Engine(stuck, DecodeOptions(temperature=1.0, loop_retries=3, batch_size=1), LOOPS)
    tokens, ends = gather(list(engine.decode_growing(texts)), len(texts))
    assert {"eos", "loop"} <= set(once.stop_reasons)
    assert [end.stop_reason for end in ends] == once.stop_reasons
    assert {end.attempts for end in ends} == {1}
    for said, first, reason in zip(tokens, once.tokens, once.stop_reasons, strict=True):
        assert said == first.tolist()[: len(first) - (HELD if reason == "loop" else 0)]


def test_a_loop_is_tried_again_where_nothing_was_given(model: TextToSemantic) -> None:
    stuck, texts = often(model), [[3 + n, 4, 5, 6] for n in range(20)]
    options = DecodeOptions(temperature=1.0, loop_retries=3, batch_size=5)
    whole = Engine(stuck, options, LOOPS).decode(texts)
    assert max(whole.attempts) > 1
    growths = Engine(stuck, options, LOOPS).decode_growing(texts, chunks=(10**6,))
    tokens, ends = gather(list(growths), len(texts))
    assert tokens == [row.tolist() for row in whole.tokens]
    assert [end.attempts for end in ends] == whole.attempts


def test_numbers_that_are_none_end_it_where_they_begin(model: TextToSemantic, texts: list[list[int]]) -> None:
    def broken_after(calls: int) -> TextToSemantic:
        copy = TextToSemantic(model.config).eval()
        copy.load_state_dict(model.state_dict())
        logits, counted = copy.decoder.logits, iter(range(10**6))
        copy.decoder.logits = lambda hidden: (
            logits(hidden)
            * (  # type: ignore[method-assign]
                float("nan") if next(counted) >= calls else 1.0
            )
        )
        return copy

    whole = Engine(broken_after(8), DecodeOptions(), GUARDS).decode([texts[5]])
    tokens, [end] = gather(list(Engine(broken_after(8), DecodeOptions(), GUARDS).decode_growing([texts[5]])), 1)
    assert end.stop_reason == whole.stop_reasons[0] == "error"
    assert tokens == [whole.tokens[0].tolist()] and len(tokens[0]) == 8


@settings(max_examples=200)
@given(st.lists(st.integers(0, 1), max_size=80), st.integers(1, 3))
def test_what_was_certain_stays_certain(tokens: list[int], period: int) -> None:
    watch = LoopDetector(LoopCriterion(span=75, period=period))
    certain = 0
    for end in range(1, len(tokens) + 1):
        watch.push(tokens[:end])
        assert certain <= end - watch.revocable
        certain = end - watch.revocable


def test_a_held_token_waits_and_is_released() -> None:
    watch, tokens = LoopDetector(LoopCriterion()), []
    certain = []
    for token in [1, 2, *[3] * 40, 4]:
        tokens.append(token)
        watch.push(tokens)
        certain.append(len(tokens) - watch.revocable)
    assert certain == [*range(1, 16), *[15] * 27, 43]
