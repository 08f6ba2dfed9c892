"""Rules about tokens hold in every method, and are those that `TokenRules.banned` says one token at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding import DecodeOptions, Engine, Request, StoppingCriteria
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.obedience import RuleBook
from spear_accel.decoding.reference import decode_reference
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.model.rules import TokenRules
from tests.decoding.drafters import GUARDS, drafting_for
from tests.model.conftest import BART, T5, lively, tiny_config

VOCAB = 21
CPU = torch.device("cpu")
RULES = {
    "more_eos": [6, 7], "first": 5, "last": 1, "suppressed": [9, 10], "suppressed_first": [11, 12, 13],
    "bad_words": [[14], [3, 4], [4, 4], [15, 16, 17]], "min_tokens": 4, "max_tokens": 17,
}  # fmt: skip


@pytest.fixture(scope="module", params=[{}, T5, BART], ids=["own", "t5", "bart"])
def model(request: pytest.FixtureRequest) -> TextToSemantic:
    """Few tokens are likely everywhere, so that rules are met."""
    model = lively(tiny_config(**{**request.param, "rules": RULES, "semantic_eos_id": 1}))
    with torch.no_grad():
        model.decoder.embedding.weight[:VOCAB] *= 0.5
    return model


TEXTS = [[3, 4, 5], [9, 8, 7, 6, 5, 4], [12], [3, 17, 19, 5]]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_method_says_what_the_reference_says(model: TextToSemantic, temperature: float) -> None:
    drafting = drafting_for(model)
    wanted = None
    for method in drafting.methods:
        options = DecodeOptions(method=method, temperature=temperature, batch_size=3, loop_retries=0)
        drafter, controller = drafting.prepare(model, method, options)
        result = Engine(model, options, GUARDS, drafter=drafter, controller=controller).decode(TEXTS)
        if wanted is None:
            wanted = [decode_reference(model, text, options, GUARDS)[:2] for text in TEXTS]
            met = {token for tokens, _ in wanted for token in tokens}
            assert not met & {1, 6, 7, 9, 10, 14} and all(tokens[:1] == [5] for tokens, _ in wanted)
            assert all(len(tokens) >= 4 for tokens, _ in wanted)
        found = [(row.tolist(), reason) for row, reason in zip(result.tokens, result.stop_reasons, strict=True)]
        assert found == wanted, method


@pytest.mark.parametrize("method", ["autoregressive", "early-exit", "draft-model", "ngram"])
def test_speculative_sampling_obeys_too(model: TextToSemantic, method: str) -> None:
    options = DecodeOptions(method=method, verify="rejection", temperature=1.2, batch_size=8, loop_retries=0)
    drafter, controller = drafting_for(model).prepare(model, method, options)
    engine = Engine(model, options, GUARDS, drafter=drafter, verifier=make_verifier(options), controller=controller)
    rules, config = model.config.rules, model.config
    assert rules is not None
    for tokens in engine.decode([[3, 4, 5]] * 40, seeds=range(40)).tokens:
        for place in range(len(tokens)):
            said = tokens[:place].tolist()
            assert int(tokens[place]) not in rules.banned(said, config.eos_ids, 4, 17, VOCAB), (said, tokens[place])


TOKENS = st.integers(0, VOCAB - 1)
WORDS = st.lists(st.lists(TOKENS, min_size=1, max_size=3), max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_batch_obeys_as_one_token_after_another(data: st.DataObject) -> None:
    few = st.lists(st.integers(0, 5), max_size=3)
    forced = st.one_of(st.none(), st.integers(6, VOCAB - 1))
    rules = TokenRules(
        more_eos=tuple(data.draw(few)), first=data.draw(forced), last=data.draw(forced),
        suppressed=tuple(data.draw(few)), suppressed_first=tuple(data.draw(few)),
        bad_words=tuple(tuple(word) for word in data.draw(WORDS)),
    )  # fmt: skip
    config = tiny_config(rules=rules, semantic_eos_id=1)
    book = RuleBook(config, CPU)
    rows: list[Sequence[int]] = [data.draw(st.lists(TOKENS, max_size=8)) for _ in range(2)]
    drafted = data.draw(st.lists(TOKENS, min_size=3, max_size=3))
    least, most = data.draw(st.integers(0, 8)), data.draw(st.integers(1, 12))
    paths = [[[*row, *drafted[:depth]] for depth in range(4)] for row in rows]
    places = torch.tensor([[len(path) for path in own] for own in paths])
    width = book.reach
    before = [[([-1] * width + path)[len(path) :] for path in own] for own in paths]
    logits = torch.randn(2, 4, VOCAB)
    found = book.obey(logits, [(least, most)] * 2, places, torch.tensor(before).view(2, 4, width))
    for row, own in enumerate(paths):
        for depth, path in enumerate(own):
            banned = rules.banned(path, config.eos_ids, least, most, VOCAB)
            wanted = logits[row, depth].clone()
            wanted[sorted(banned)] = -torch.inf
            assert torch.equal(found[row, depth], wanted), (path, banned)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"first": 99}, "rules name token 99; the model has 0 to 20"),
        ({"first": 3, "suppressed": [3]}, "force token 3 and suppress it"),
        ({"suppressed": list(range(21))}, "suppress every token"),
        ({"second": 3}, "rules: unknown field"),
        ({"bad_words": [[]]}, "empty sequence"),
        ({"bad_words": 3}, "a list of ids is none"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1"),
        ({"min_tokens": "x"}, "min_tokens must be a whole number"),
        (7, "no table of rules"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: object, said: str) -> None:
    values = {**tiny_config().to_dict(), "rules": rules}
    with pytest.raises(UserError, match=said):
        TextToSemanticConfig.from_dict(values)


def test_rules_are_kept_with_the_config() -> None:
    config = tiny_config(rules=RULES, semantic_eos_id=1)
    assert TextToSemanticConfig.from_dict(config.to_dict()) == config
    assert config.eos_ids == (1, 6, 7)


def test_a_request_may_want_less_than_the_rules_allow(model: TextToSemantic) -> None:
    """The last token is then forced at the request's own end."""
    options = DecodeOptions(method="autoregressive", temperature=0.0, loop_retries=0)
    engine = Engine(model, options, StoppingCriteria(), drafter=Drafting().prepare(model, "autoregressive", options)[0])
    result = engine.decode([Request([3, 4, 5], max_tokens=9), Request([3, 4, 5])])
    assert len(result.tokens[0]) <= 8 and result.stop_reasons[0] == "eos"
    assert len(result.tokens[1]) <= 16 and result.stop_reasons[1] == "eos"
