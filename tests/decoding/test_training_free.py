"""Drafts without training: look-up against a slow search, and Jacobi against its definition."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.jacobi import JacobiDrafter
from spear_accel.decoding.draft.ngram import LONGEST_MATCH, NgramDrafter, NgramTable, _Seen
from spear_accel.decoding.noise import gumbel_from, row_words, uniforms, utterance_key
from spear_accel.decoding.proposal import Proposal
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic


def slowly(tokens: list[int], table: dict[tuple[int, ...], int]) -> int | None:
    """What followed the longest suffix of `tokens` at its latest earlier place; the table of the same length next."""
    for length in range(min(LONGEST_MATCH, len(tokens)), 0, -1):
        suffix = tokens[-length:]
        places = [end for end in range(length, len(tokens)) if tokens[end - length : end] == suffix]
        if places:
            return tokens[places[-1]]
        if tuple(suffix) in table:
            return table[tuple(suffix)]
    return None


@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(1, 7)))
def test_look_up_agrees_with_a_search(tokens: list[int], steps: list[int]) -> None:
    """However the tokens arrive, a few at a time."""
    seen, read = _Seen(), 0
    for step in [*steps, 30]:
        read = min(len(tokens), read + step)
        seen.read(tokens[:read])
    found = seen.draft(tokens, 1, {})
    assert found == ([] if (wanted := slowly(tokens, {})) is None else [wanted])


def test_longest_match_first_then_the_utterance_then_the_table() -> None:
    table = NgramTable({(1, 2): 7, (2,): 8, (7,): 5}, units=9).following
    assert slowly([1, 2], table) == 7
    assert _Seen().draft([1, 2], 3, table) == [7, 5]
    seen = _Seen()
    tokens = [2, 3, 1, 2]
    seen.read(tokens)
    assert seen.draft(tokens, 1, table) == [7], "a longer match of the table goes before a shorter of the utterance"
    assert seen.draft([2], 1, {(2,): 8}) == [3], "of equal length the utterance goes first"


def test_a_table_is_built_from_a_corpus() -> None:
    table = NgramTable.build([[1, 2, 3], [1, 2, 3], [1, 2, 4], [5, 6]], units=9)
    assert table.following[(1, 2)] == 3 and table.following[(1,)] == 2
    assert (5,) not in table.following, "seen once"


def test_a_table_of_another_tokenizer_is_refused() -> None:
    with pytest.raises(UserError, match="token 9 is none of the voice's 9 units"):
        NgramTable({(1,): 9}, units=9)


def test_a_table_drafts_from_the_first_token_on(model: TextToSemantic, texts: list[list[int]]) -> None:
    """With a table of this very utterance nearly every draft is right."""
    options = DecodeOptions(method="ngram", seed=1, draft_length=4, loop_retries=0)
    plain = Engine(model, DecodeOptions(method="autoregressive", seed=1, loop_retries=0)).decode(texts[:1])
    said = plain.tokens[0].tolist()
    table = NgramTable.build([said, said], units=model.config.semantic_units)
    rounds = {}
    for name, own in (("with", table), ("without", None)):
        result = Engine(model, options, drafter=NgramDrafter(4, own)).decode(texts[:1])
        assert result.tokens[0].tolist() == said
        rounds[name] = result.stats.target_calls
    assert rounds["with"] < rounds["without"]


def test_jacobi_drafts_what_the_target_said_behind_the_committed_tokens(
    model: TextToSemantic, texts: list[list[int]]
) -> None:
    """Each guess is the target's draw for its position on the previous round's draft, computed here from scratch."""
    compared = 0
    for chosen in texts:
        for (before, draft), (after, guess) in pairwise(rounds_of(model, chosen)):
            text = torch.tensor([[*chosen, model.config.text_eos_id]])
            logits = model(text, torch.tensor([[*before, *draft]]))[0]
            words, every = torch.tensor([row_words(0, utterance_key(chosen))]), torch.arange(model.config.vocab)
            noise = gumbel_from(uniforms(words, torch.arange(len(logits))[None], every))[0]
            said = ((logits / 0.7).log_softmax(-1) + noise).argmax(-1).tolist()
            wanted = said[len(after) : len(before) + len(draft) + 1]
            if not before:
                assert guess == [after[-1]] * len(guess), "the first draft was made up: the last token again"
                continue
            if model.config.eos_id in wanted or not wanted:
                continue
            assert guess[: len(wanted)] == wanted
            assert set(guess[len(wanted) :]) <= {wanted[-1]}
            compared += len(wanted)
    assert compared > 30


def rounds_of(model: TextToSemantic, text: list[int]) -> list[tuple[list[int], list[int]]]:
    """Committed tokens and draft of every round of Jacobi decoding."""
    drafter, seen = JacobiDrafter(model.decoder, 4), []
    propose = drafter.propose

    def recording(context: DraftContext) -> Proposal:
        proposal = propose(context)
        seen.append((list(context.committed[0]), proposal.tokens[0].tolist()))
        return proposal

    drafter.propose = recording  # type: ignore[method-assign]
    options = DecodeOptions(method="jacobi", draft_length=4, temperature=0.7, max_tokens=40)
    Engine(model, options, drafter=drafter).decode([text])
    return seen


def test_jacobi_needs_fewer_calls_than_tokens(model: TextToSemantic, texts: list[list[int]]) -> None:
    """Greedy decoding of a tiny model holds tokens, which is where the guesses come true."""
    options = DecodeOptions(method="jacobi", draft_length=4, temperature=0.0, max_tokens=60)
    stats = Engine(model, options, drafter=JacobiDrafter(model.decoder, 4)).decode(texts).stats
    assert stats.block_efficiency > 1.5


@pytest.mark.parametrize("rule", ["rejection", "lenient"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_no_draft_says_the_start_id(
    model: TextToSemantic, texts: list[list[int]], rule: str, temperature: float
) -> None:
    """At first the pending token is the start id, which has no probability of its own that a rule could look up."""
    for drafter in (JacobiDrafter(model.decoder, 3), NgramDrafter(3)):
        options = DecodeOptions(verify=rule, temperature=temperature, batch_size=2, max_tokens=30)
        result = Engine(model, options, drafter=drafter).decode(texts)
        assert all(int(tokens.max()) < model.config.vocab for tokens in result.tokens if len(tokens))
