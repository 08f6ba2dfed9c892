"""The engine against the cache-free reference, its batching, stops, drafts and statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from torch import Tensor

from spear_accel.decoding import DecodeOptions, Engine, LengthBounds, LoopCriterion, StoppingCriteria
from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.noise import row_words, utterance_key
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.reference import decode_reference
from spear_accel.decoding.request import Request
from spear_accel.errors import UserError
from spear_accel.model import DecoderState, TextToSemantic
from spear_accel.model.cache import FIRST_SLOTS

GUARDS = StoppingCriteria(length=LengthBounds(tokens_per_unit=5.0, shortest=0.3, longest=1.5, slack=10))
SHORT = StoppingCriteria(length=LengthBounds(tokens_per_unit=3.0, shortest=0.0, longest=1.0, slack=10))


def as_lists(tokens: list[Tensor]) -> list[list[int]]:
    assert all(row.dtype == torch.int64 for row in tokens)
    return [row.tolist() for row in tokens]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize(
    "fields",
    [{}, {"top_k": 5}, {"top_p": 0.8}, {"repetition_penalty": 1.4, "repetition_window": 6, "top_k": 12, "top_p": 0.9}],
    ids=str,
)
def test_equals_the_reference(
    model: TextToSemantic, texts: list[list[int]], temperature: float, fields: dict[str, float]
) -> None:
    options = DecodeOptions(temperature=temperature, seed=11, batch_size=3, **fields)  # type: ignore[arg-type]
    result = Engine(model, options, GUARDS).decode(texts[:4])
    for row, text in enumerate(texts[:4]):
        tokens, reason, seed = decode_reference(model, text, options, GUARDS)
        assert result.tokens[row].tolist() == tokens
        assert (result.stop_reasons[row], result.seeds[row]) == (reason, seed)


def test_a_row_is_itself_in_any_company(model: TextToSemantic, texts: list[list[int]]) -> None:
    options = DecodeOptions(seed=3)
    together = Engine(model, options, GUARDS).decode(texts)
    alone = [Engine(model, options, GUARDS).decode([text]) for text in texts]
    assert as_lists(together.tokens) == [as_lists(result.tokens)[0] for result in alone]
    reversed_order = Engine(model, options, GUARDS).decode(texts[::-1])
    assert as_lists(reversed_order.tokens) == as_lists(together.tokens)[::-1]


def test_continuous_batching(model: TextToSemantic, texts: list[list[int]]) -> None:
    seven = texts[:7]
    whole = Engine(model, DecodeOptions(batch_size=7), GUARDS).decode(seven)
    slots = Engine(model, DecodeOptions(batch_size=3), GUARDS).decode(seven)
    assert as_lists(slots.tokens) == as_lists(whole.tokens)
    assert slots.stop_reasons == whole.stop_reasons
    committed = sum(len(row) for row in slots.tokens) + slots.stop_reasons.count("eos")
    assert slots.stats.committed == slots.stats.row_calls == committed
    longest = max(stats.target_calls for stats in slots.utterance_stats)
    assert slots.stats.target_calls < 2 * max(longest, committed / 3), "slots stood empty while texts waited"


def test_seeds(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(seed=5), GUARDS)
    first = as_lists(engine.decode(texts).tokens)
    assert first == as_lists(engine.decode(texts).tokens)
    other = as_lists(engine.decode(texts, seeds=[5, 6] * 4).tokens)
    assert [a == b for a, b in zip(first, other, strict=True)] == [True, False] * 4
    keyed = engine.decode([texts[1]] * 2, keys=[utterance_key(texts[1]), 1])
    assert as_lists(keyed.tokens)[0] == first[1] != as_lists(keyed.tokens)[1]


def test_stop_reasons_and_bounds(model: TextToSemantic, texts: list[list[int]]) -> None:
    forced = StoppingCriteria(length=LengthBounds(tokens_per_unit=4.0, shortest=1.0, longest=1.0, slack=1))
    result = Engine(model, DecodeOptions(temperature=1.0), forced).decode(texts)
    for row, text in zip(result.tokens, texts, strict=True):
        assert 4 * len(text) <= len(row) <= 4 * len(text) + 1
    capped = Engine(model, DecodeOptions(max_tokens=3), forced).decode(texts)
    assert {len(row) for row in capped.tokens} == {3}
    assert set(capped.stop_reasons) == {"max_length"}
    by_units = Engine(model, DecodeOptions(), forced).decode(texts[:1], text_lengths=[10])
    assert 40 <= len(by_units.tokens[0]) <= 41


def biased(model: TextToSemantic, token: int, strength: float) -> TextToSemantic:
    """A copy that prefers one token everywhere."""
    copy = TextToSemantic(model.config).eval()
    copy.load_state_dict(model.state_dict())
    original = copy.decoder.logits

    def logits(hidden: Tensor) -> Tensor:
        shift = torch.zeros(model.config.vocab)
        shift[token] = strength
        return original(hidden) + shift

    copy.decoder.logits = logits  # type: ignore[method-assign]
    return copy


def test_eos_stops_at_once(model: TextToSemantic, texts: list[list[int]]) -> None:
    result = Engine(biased(model, model.config.eos_id, 1000.0), DecodeOptions(), SHORT).decode(texts)
    assert as_lists(result.tokens) == [[]] * len(texts)
    assert set(result.stop_reasons) == {"eos"}
    assert result.stats.committed == len(texts)
    long_enough = Engine(biased(model, model.config.eos_id, 1000.0), DecodeOptions(), GUARDS).decode(texts)
    assert [len(row) for row in long_enough.tokens] == [int(0.3 * 5.0 * len(text)) for text in texts]


def test_a_loop_is_retried_with_other_seeds_and_told(model: TextToSemantic) -> None:
    stuck = biased(model, 7, 1000.0)
    guards = StoppingCriteria(length=LengthBounds(tokens_per_unit=40.0), loop=LoopCriterion(span=20, period=4))
    result = Engine(stuck, DecodeOptions(loop_retries=2), guards).decode([[5, 6], [7, 8, 9]])
    assert result.stop_reasons == ["loop", "loop"]
    assert result.attempts == [3, 3]
    assert as_lists(result.tokens) == [[7] * 20] * 2
    assert result.stats.committed == 2 * 3 * 20
    greedy = Engine(stuck, DecodeOptions(temperature=0.0), guards).decode([[5, 6]])
    assert greedy.attempts == [1], "another seed cannot help where no noise is used"


def test_a_retry_that_succeeds_names_its_seed(model: TextToSemantic) -> None:
    """A model that often holds one token: some utterances need several tries, and all say which seed they took."""
    often = biased(model, 7, 3.0)
    guards = StoppingCriteria(
        length=LengthBounds(tokens_per_unit=10.0, longest=1.0, slack=1), loop=LoopCriterion(span=7, period=1)
    )
    texts = [[3 + n, 4, 5] for n in range(20)]
    options = DecodeOptions(temperature=1.0, loop_retries=6, batch_size=5)
    result = Engine(often, options, guards).decode(texts)
    helped = [n for n in range(20) if result.attempts[n] > 1 and result.stop_reasons[n] != "loop"]
    assert helped
    for row in helped:
        again = Engine(often, options, guards).decode([texts[row]], seeds=[result.seeds[row]])
        assert as_lists(again.tokens)[0] == result.tokens[row].tolist()
        assert again.attempts == [1]
        assert decode_reference(often, texts[row], options, guards)[0] == result.tokens[row].tolist()


class Scripted:
    """A drafter that knows the answers and spoils them: it proves that drafts change nothing but the speed."""

    def __init__(self, answers: dict[tuple[int, int], list[int]], longest: int, spoil: int) -> None:
        """spoil: every spoil-th token is drafted wrong; 0 for none, 1 for all."""
        self.answers, self.longest, self.spoil = answers, longest, spoil
        self.rows = self.rounds = 0

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self.rows = 0

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self.rows += len(texts)

    def propose(self, context: DraftContext) -> Proposal:
        """Rows draft different lengths, 1 to `longest`, and fewer where the answer ends."""
        self.rounds += 1
        wanted = [1 + (self.rounds + row) % self.longest for row in range(self.rows)]
        names = [tuple(words) for words in context.noise.words.tolist()]
        starts = [len(tokens) for tokens in context.committed]
        drafts = [self._draft(self.answers[name], *at) for name, *at in zip(names, starts, wanted, strict=True)]
        padded = [draft + [0] * (self.longest - len(draft)) for draft in drafts]
        return Proposal.chain(torch.tensor(padded), torch.tensor([len(draft) for draft in drafts]))

    def _draft(self, answer: list[int], start: int, count: int) -> list[int]:
        wrong = [self.spoil > 0 and position % self.spoil == 0 for position in range(start, start + count)]
        draft = zip(answer[start : start + count], wrong, strict=False)
        return [(token + 1) % 20 if spoiled else token for token, spoiled in draft]

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        assert hidden.shape[0] == self.rows == len(verdict.accepted)

    def select(self, rows: Sequence[int]) -> None:
        self.rows = len(rows)


@pytest.mark.parametrize("spoil", [0, 1, 3])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_drafts_change_the_speed_only(
    model: TextToSemantic, texts: list[list[int]], spoil: int, temperature: float
) -> None:
    options = DecodeOptions(
        temperature=temperature, batch_size=3, repetition_penalty=1.2, repetition_window=4, top_k=15
    )
    plain = Engine(model, options, GUARDS).decode(texts)
    names = [row_words(options.seed, utterance_key(text)) for text in texts]
    drafter = Scripted(dict(zip(names, as_lists(plain.tokens), strict=True)), 5, spoil)
    drafted = Engine(model, options, GUARDS, drafter=drafter).decode(texts)
    assert as_lists(drafted.tokens) == as_lists(plain.tokens)
    assert drafted.stop_reasons == plain.stop_reasons
    assert drafted.stats.committed == plain.stats.committed
    assert drafted.stats.drafted > 0
    if spoil == 1:
        assert drafted.stats.acceptance_rate < 0.1  # a wrong guess at one token may still be right of another
        assert drafted.stats.block_efficiency < 1.2
    elif spoil == 0:
        assert drafted.stats.acceptance_rate == 1.0
        assert drafted.stats.block_efficiency > 2.5
    else:
        assert 1.2 < drafted.stats.block_efficiency < 2.5


def test_bad_requests_are_refused(model: TextToSemantic) -> None:
    engine = Engine(model)
    for texts, message in (
        ([[3], []], "utterance 1 has no text"),
        ([[3, 99]], "text id 99 is outside 0 to 29"),
        ([[3] * 5000], "exceed the model's 4096; split it"),
    ):
        with pytest.raises(UserError, match=message):
            engine.decode(texts)
    with pytest.raises(UserError, match="2 seeds for 1 texts"):
        engine.decode([[3]], seeds=[1, 2])


def test_no_texts_no_tokens(model: TextToSemantic) -> None:
    result = Engine(model).decode([])
    assert result.tokens == []
    assert result.stats.target_calls == 0


def waiting(texts: Iterable[list[int]]) -> Callable[[], Request | None]:
    """Requests for the texts, one after the other."""
    requests = map(Request, texts)
    return lambda: next(requests, None)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_handed_over_one_by_one_they_are_the_same(
    model: TextToSemantic, texts: list[list[int]], batch_size: int
) -> None:
    """Loops, which are tried again, come once."""
    options = DecodeOptions(batch_size=batch_size, seed=5)
    whole = Engine(model, options, GUARDS).decode(texts)
    each = list(Engine(model, options, GUARDS).decode_requests(waiting(texts)))
    assert sorted(one.index for one in each) == list(range(len(texts)))
    for one in each:
        assert one.result is not None and torch.equal(one.result.tokens, whole.tokens[one.index])
        found = (one.result.stop_reason, one.result.seed, one.result.attempts)
        assert found == (whole.stop_reasons[one.index], whole.seeds[one.index], whole.attempts[one.index])


def test_the_first_is_handed_over_before_the_last_is_decoded(model: TextToSemantic, texts: list[list[int]]) -> None:
    engine = Engine(model, DecodeOptions(batch_size=1), GUARDS)
    rounds = []
    observe = engine.config.controller.observe
    engine.config.controller.observe = lambda *given: (rounds.append(1), observe(*given))[1]  # type: ignore[method-assign]
    each = engine.decode_requests(waiting(texts))
    next(each)
    first = len(rounds)
    list(each)
    assert 0 < first < len(rounds) / 2


def test_requests_may_come_while_others_are_handed_over(model: TextToSemantic, texts: list[list[int]]) -> None:
    """Each text is asked for again, with another seed, once it is there; and nothing is asked of an ended source."""
    options = DecodeOptions(batch_size=3)
    queue = [Request(text, seed=0) for text in texts]
    found = {}
    asked = []

    def source() -> Request | None:
        if queue:
            asked.append(queue.pop(0))
            return asked[-1]
        return None

    for one in Engine(model, options, GUARDS).decode_requests(source):
        request = asked[one.index]
        found[tuple(request.text), request.seed] = one.new_tokens
        if request.seed == 0:
            queue.append(Request(request.text, seed=1))
    assert len(found) == 2 * len(texts)
    for seed in (0, 1):
        alone = Engine(model, options, GUARDS).decode(texts, seeds=[seed] * len(texts))
        for text, tokens in zip(texts, alone.tokens, strict=True):
            assert torch.equal(found[tuple(text), seed], tokens)


def test_a_bad_request_is_named_when_it_comes(model: TextToSemantic, texts: list[list[int]]) -> None:
    each = Engine(model, DecodeOptions(batch_size=1), GUARDS).decode_requests(waiting([texts[0], []]))
    assert next(each).index == 0
    with pytest.raises(UserError, match="utterance 1 has no text"):
        next(each)


def test_the_text_cache_grows_with_what_comes(model: TextToSemantic, texts: list[list[int]]) -> None:
    """Behind short texts one that is longer than what is first reserved, while the short ones live."""
    long = [3 + place % 26 for place in range(FIRST_SLOTS + 40)]
    guards = StoppingCriteria(length=LengthBounds(tokens_per_unit=0.2, shortest=0.3, longest=1.5, slack=10))
    options = DecodeOptions(batch_size=3, seed=3)
    asked = [*texts[:4], long, *texts[4:]]
    found = {one.index: one.new_tokens for one in Engine(model, options, guards).decode_requests(waiting(asked))}
    for index, text in enumerate(asked):
        assert torch.equal(found[index], Engine(model, options, guards).decode([text]).tokens[0])
