"""Requests that come and go: add, abort and step; every request gets the tokens that it would get alone."""

from __future__ import annotations

import random
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding import (
    DecodeOptions,
    Engine,
    LengthBounds,
    LoopCriterion,
    Request,
    RequestOutput,
    RequestResult,
    SamplingParams,
    StoppingCriteria,
)
from spear_accel.decoding.draft.ngram import NgramDrafter
from spear_accel.decoding.reference import decode_reference
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic

GUARDS = StoppingCriteria(
    LengthBounds(tokens_per_unit=5.0, shortest=0.3, longest=1.5, slack=10), LoopCriterion(span=500)
)
"""No loops: what becomes of one depends on whether it was streamed."""
MIXED = (
    SamplingParams(0.0), SamplingParams(0.7), SamplingParams(1.0, top_k=5), SamplingParams(0.9, top_p=0.8),
    SamplingParams(0.8, repetition_penalty=1.4, repetition_window=6), SamplingParams(0.0, repetition_penalty=1.2),
    SamplingParams(1.0, repetition_penalty=1.1, repetition_window=3, top_k=12, top_p=0.9), SamplingParams(1.3),
)  # fmt: skip


def run(engine: Engine) -> dict[Hashable, RequestResult]:
    """Step until nothing is left; the results by id."""
    results: dict[Hashable, RequestResult] = {}
    while engine.unfinished:
        results |= {output.id: output.result for output in engine.step() if output.result is not None}
    return results


def reference(model: TextToSemantic, text: list[int], sampling: SamplingParams, seed: int) -> list[int]:
    fields = {name: getattr(sampling, name) for name in SamplingParams.__dataclass_fields__}
    return decode_reference(model, text, DecodeOptions(seed=seed, **fields), GUARDS)[0]


@pytest.mark.parametrize("drafts", [0, 4])
def test_every_request_has_its_own_sampling_and_seed(
    model: TextToSemantic, texts: list[list[int]], drafts: int
) -> None:
    engine = Engine(model, DecodeOptions(batch_size=5), GUARDS, NgramDrafter(drafts) if drafts else None)
    for number, (text, sampling) in enumerate(zip(texts, MIXED, strict=True)):
        engine.add(Request(text, id=f"request {number}", sampling=sampling, seed=number))
    results = run(engine)
    for number, (text, sampling) in enumerate(zip(texts, MIXED, strict=True)):
        assert results[f"request {number}"].tokens.tolist() == reference(model, text, sampling, number), sampling


def test_every_request_has_its_own_bounds(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(max_tokens=9), GUARDS)
    engine.add(Request(texts[1], id="short", max_tokens=4))
    engine.add(Request(texts[1], id="long", max_tokens=30, min_tokens=20))
    engine.add(Request(texts[1], id="plain"))
    results = run(engine)
    assert len(results["short"].tokens) == 4 and results["short"].stop_reason == "max_length"
    assert 20 <= len(results["long"].tokens) <= 30
    assert len(results["plain"].tokens) == 9


def test_what_is_aborted_leaves_and_harms_nobody(model: TextToSemantic, texts: list[list[int]]) -> None:
    """Before it begins, while it is decoded and twice."""
    alone = Engine(model, DecodeOptions(), GUARDS).decode(texts).tokens
    engine = Engine(model, DecodeOptions(batch_size=3), GUARDS)
    ids = [engine.add(Request(text)) for text in texts]
    outputs: list[RequestOutput] = []
    for step in range(4):
        outputs += engine.step()
        if step == 1:
            engine.abort(ids[0])
            engine.abort(ids[6])
    with pytest.raises(UserError, match="no request 0 is waiting or being decoded"):
        engine.abort(ids[0])
    while engine.unfinished:
        outputs += engine.step()
    ends = {output.id: output.result for output in outputs if output.result is not None}
    assert {id for id, end in ends.items() if end.stop_reason == "aborted"} == {ids[0], ids[6]}
    assert torch.equal(ends[ids[0]].tokens, alone[0][:2]) and not len(ends[ids[6]].tokens)
    for number in set(range(len(texts))) - {0, 6}:
        assert torch.equal(ends[ids[number]].tokens, alone[number])


def test_an_aborted_row_is_free_in_the_next_step(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(batch_size=1), GUARDS)
    first, second = engine.add(Request(texts[1])), engine.add(Request(texts[0], stream=(1,)))
    assert engine.free_rows == 0
    assert engine.step() == []
    engine.abort(first)
    assert [output.id for output in engine.step()] == [first, second]


def test_streamed_and_whole_requests_share_a_batch(model: TextToSemantic, texts: list[list[int]]) -> None:
    alone = Engine(model, DecodeOptions(), GUARDS).decode(texts).tokens
    engine = Engine(model, DecodeOptions(), GUARDS)
    ids = [engine.add(Request(text, stream=(2, 5) if number % 2 else None)) for number, text in enumerate(texts)]
    pieces: dict[Hashable, list[int]] = {id: [] for id in ids}
    sizes: dict[Hashable, list[int]] = {id: [] for id in ids}
    while engine.unfinished:
        for output in engine.step():
            pieces[output.id] += output.new_tokens.tolist()
            sizes[output.id].append(len(output.new_tokens))
            assert output.result is None or output.result.tokens.tolist() == pieces[output.id]
    assert [pieces[id] for id in ids] == [tokens.tolist() for tokens in alone]
    assert {len(sizes[id]) for id in ids[::2]} == {1}
    assert sizes[ids[1]][0] == 2 and min(sizes[ids[1]][1:-1]) >= 5


def test_bad_requests_are_refused_and_the_others_are_not_touched(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(), GUARDS)
    engine.add(Request(texts[0], id="good"))
    for wrong, message in (
        (lambda: Request([]), "has no text"),
        (lambda: Request(texts[1], id="good"), "'good' is in use"),
        (lambda: Request(texts[1], sampling=SamplingParams(temperature=-1.0)), "temperature must be at least 0"),
        (lambda: Request(texts[1], sampling=SamplingParams(temperature=1e-38)), "temperature must be 0 or at least"),
        (lambda: Request(texts[1], sampling=SamplingParams(top_p=0.0)), "must be above 0"),
        (lambda: Request(texts[1], max_tokens=0), "max_tokens must be a whole number of at least 1"),
        (lambda: Request(texts[1], stream=(0,)), "stream must be a whole number of at least 1"),
        (lambda: Request(texts[1], seed=1.5), "seed must be a whole number"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UserError, match=message):
            engine.add(wrong())
    assert list(run(engine)) == ["good"]


def test_a_closed_engine_ends_what_it_has_and_takes_no_more(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(), GUARDS)
    engine.add(Request(texts[0], id="begun"))
    engine.step()
    engine.close()
    [output] = engine.step()
    assert output.result is not None and output.result.stop_reason == "aborted"
    with pytest.raises(UserError, match="closed"):
        engine.add(Request(texts[0]))


def test_an_engine_that_lives_long_says_the_same(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(batch_size=4), GUARDS, NgramDrafter(3))
    first = engine.decode(texts)
    alone = [engine.decode([text]) for text in texts]
    again = engine.decode(texts[::-1])
    assert [row.tolist() for row in first.tokens] == [one.tokens[0].tolist() for one in alone]
    assert [row.tolist() for row in again.tokens] == [row.tolist() for row in first.tokens[::-1]]
    assert again.stats.committed == first.stats.committed, "counts are those of the call"


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_any_coming_and_going_changes_no_tokens(model: TextToSemantic, texts: list[list[int]], seed: int) -> None:
    chance = random.Random(seed)
    engine = Engine(model, DecodeOptions(batch_size=3), GUARDS, NgramDrafter(3))
    waiting = [(number, chance.randrange(2)) for number in range(len(texts))] * 2
    results: dict[Hashable, RequestResult] = {}
    live: set[Hashable] = set()
    while waiting or engine.unfinished:
        for _ in range(chance.randrange(3)):
            if waiting:
                number, own = waiting.pop()
                stream = chance.choice([None, (1,), (4, 2)])
                id = (number, own, len(waiting))
                live.add(engine.add(Request(texts[number], id=id, seed=own, sampling=MIXED[number], stream=stream)))
        if live and chance.random() < 0.1:
            dropped = live.pop()
            engine.abort(dropped)
        for output in engine.step():
            if output.result is not None:
                live.discard(output.id)
                results[output.id] = output.result
    for id, result in results.items():
        assert isinstance(id, tuple)
        number, own, _ = id
        wanted = _known(model, texts, number, own)
        assert result.tokens.tolist() == (wanted[: len(result.tokens)] if result.stop_reason == "aborted" else wanted)


_KNOWN: dict[tuple[int, int], list[int]] = {}


def _known(model: TextToSemantic, texts: list[list[int]], number: int, seed: int) -> list[int]:
    if (number, seed) not in _KNOWN:
        _KNOWN[number, seed] = reference(model, texts[number], MIXED[number], seed)
    return _KNOWN[number, seed]


def test_many_threads_share_one_batch(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(batch_size=6), GUARDS, NgramDrafter(3))
    alone = [row.tolist() for row in Engine(model, DecodeOptions(), GUARDS).decode(texts).tokens]

    def call(number: int) -> list[list[int]]:
        torch.set_num_threads(1)
        if number % 3 == 0:
            return [row.tolist() for row in engine.decode(texts).tokens]
        if number % 3 == 1:
            tokens: list[list[int]] = [[] for _ in texts]
            for output in engine.decode_growing(texts):
                tokens[output.index] += output.new_tokens.tolist()
            return tokens
        outputs = engine.decode_growing(texts)
        begun = next(outputs)
        outputs.close()  # type: ignore[attr-defined]
        return [begun.new_tokens.tolist()]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(call, range(6)))
    for number, tokens in enumerate(found):
        assert tokens == alone if number % 3 < 2 else tokens[0] == alone[0][: len(tokens[0])]
    assert engine.unfinished == 0


def test_with_a_thread_of_its_own_callers_only_wait(model: TextToSemantic, texts: list[list[int]]) -> None:
    alone = [row.tolist() for row in Engine(model, DecodeOptions(), GUARDS).decode(texts).tokens]
    engine = Engine(model, DecodeOptions(batch_size=3), GUARDS, NgramDrafter(3))
    engine.start()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [row.tolist() for row in engine.decode(texts).tokens], range(4)))
    assert found == [alone] * 4
    engine.add(Request(texts[0], id="by step"))
    assert run(engine)["by step"].tokens.tolist() == alone[0]
    engine.close()
    with pytest.raises(UserError, match="closed"):
        engine.decode(texts)


def test_a_thread_that_waits_learns_of_an_abort_by_another(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(batch_size=1), GUARDS)
    begun, reasons = Event(), []

    def listen() -> None:
        with engine.session() as session:
            session.add(Request(texts[5], id="mine", stream=(1,), min_tokens=60, max_tokens=4000))
            for output in session.outputs():
                begun.set()
                if output.result is not None:
                    reasons.append(output.result.stop_reason)

    thread = Thread(target=listen)
    thread.start()
    begun.wait(60)
    engine.abort("mine")
    thread.join(60)
    assert reasons == ["aborted"]


def test_a_round_that_breaks_ends_every_request_and_the_engine(model: TextToSemantic, texts: list[list[int]]) -> None:
    class Broken(NgramDrafter):
        def propose(self, current: object) -> object:  # type: ignore[override]
            raise MemoryError("no more")

    engine = Engine(model, DecodeOptions(), GUARDS, Broken(2))
    engine.add(Request(texts[0], id="hurt"))
    with pytest.raises(MemoryError):
        engine.step()
    [output] = engine.step()
    assert (
        output.result is not None
        and output.result.error == "utterance 0: decoding was broken off (MemoryError: no more)"
    )
    with pytest.raises(UserError, match="closed"):
        engine.add(Request(texts[0]))
