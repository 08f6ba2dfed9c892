"""Every drafter under the coupled rule: the autoregressive tokens, whatever drafts, in any batch."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

import pytest
import torch

from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.control.adaptive import AdaptiveController
from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.methods import Drafting
from spear_accel.model import SkipSet, TextToSemantic
from tests.decoding.conftest import Autoregressive
from tests.decoding.drafters import METHODS, decode, early_exit_like, rows
from tests.pairs import pairs_first


@pytest.mark.parametrize(
    ("method", "temperature", "draft_length", "batch_size"),
    pairs_first(METHODS, (0.0, 0.7), (1, 2, 4, 8, "auto"), (1, 3, 8)),
)
def test_coupled_says_what_autoregressive_decoding_says(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    method: str,
    temperature: float,
    draft_length: int | Literal["auto"],
    batch_size: int,
) -> None:
    fast = DecodeOptions(
        method=method, temperature=temperature, seed=4, batch_size=batch_size, draft_length=draft_length
    )
    wanted = autoregressive(temperature=temperature, seed=4, batch_size=batch_size)
    found = decode(model, drafting, fast, texts)
    assert rows(found) == rows(wanted)
    assert found.stop_reasons == wanted.stop_reasons and found.seeds == wanted.seeds
    assert found.stats.committed == wanted.stats.committed
    if draft_length != "auto":
        assert found.stats.drafted > 0
        assert 0 < len(found.stats.reached) <= draft_length


@pytest.mark.parametrize("method", ["early-exit", "prophet", "prophet-linear", "medusa", "recurrent", "draft-model"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_drafts_of_less_precision_change_no_token(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    method: str,
    batch_size: int,
) -> None:
    """Heads and draft models may compute in bfloat16 for a target in float32; only acceptance can suffer."""
    coarse = Drafting(
        {kind: copy.deepcopy(head).bfloat16() for kind, head in drafting.heads.items()},
        copy.deepcopy(drafting.draft_model).bfloat16(),  # type: ignore[union-attr]
    )
    fast = DecodeOptions(method=method, seed=4, batch_size=batch_size, draft_length=4)
    exact, found = decode(model, drafting, fast, texts), decode(model, coarse, fast, texts)
    assert rows(found) == rows(autoregressive(seed=4, batch_size=batch_size))
    assert 0.8 * exact.stats.accepted <= found.stats.accepted <= 1.2 * exact.stats.accepted


@pytest.mark.parametrize(
    ("method", "temperature", "batch_size"),
    pairs_first(("prophet", "early-exit", "draft-model", "layer-skip"), (0.0, 0.7), (1, 3)),
)
def test_drafts_that_doubt_themselves_change_no_token_either(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    method: str,
    temperature: float,
    batch_size: int,
) -> None:
    doubting = DecodeOptions(method=method, temperature=temperature, seed=4, batch_size=batch_size, draft_exit=True)
    found = decode(model, drafting, doubting, texts)
    assert rows(found) == rows(autoregressive(temperature=temperature, seed=4, batch_size=batch_size))
    whole = decode(model, drafting, replace(doubting, draft_exit=False, draft_length=8), texts)
    assert found.stats.drafted < whole.stats.drafted
    if method != "early-exit":  # of this one nearly all is accepted anyway
        assert found.stats.acceptance_rate > whole.stats.acceptance_rate


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "fields", [{"top_k": 5}, {"top_p": 0.8}, {"repetition_penalty": 1.4, "repetition_window": 6}, {"cond_scale": 1.8}],
    ids=str,
)  # fmt: skip
def test_filters_penalties_and_guidance(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    autoregressive: Autoregressive,
    method: str,
    fields: dict[str, float],
) -> None:
    """Applied to every draft position with its hypothetical prefix, on draft and target alike."""
    fast = decode(model, drafting, DecodeOptions(method=method, seed=2, draft_length=3, **fields), texts)  # type: ignore[arg-type]
    assert rows(fast) == rows(autoregressive(seed=2, **fields))


@pytest.mark.parametrize("method", ["prophet", "prophet-linear", "medusa", "recurrent", "draft-model"])
@pytest.mark.parametrize("verify", ["rejection", "k-seq", "lenient"])
def test_other_rules_end_their_utterances_too(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], method: str, verify: str
) -> None:
    """Their law is tested elsewhere; here, that rows keep to themselves and that the seed decides."""
    options = DecodeOptions(method=method, verify=verify, draft_length=3, seed=2, loop_retries=0)
    together = decode(model, drafting, options, texts[:4])
    assert rows(together) == [rows(decode(model, drafting, options, [text]))[0] for text in texts[:4]]
    assert rows(together) != rows(decode(model, drafting, replace(options, seed=3), texts[:4]))
    assert together.stats.accepted > 0
    assert together.lossless == (verify != "lenient")


def test_skipping_nothing_is_the_target(model: TextToSemantic, texts: list[list[int]]) -> None:
    whole = Drafting(tuning=Tuning(skip=SkipSet()))
    stats = decode(model, whole, DecodeOptions(method="layer-skip", draft_length=3), texts).stats
    assert stats.acceptance_by_position == (1.0, 1.0, 1.0)


def test_a_row_is_itself_in_any_company(model: TextToSemantic, drafting: Drafting, texts: list[list[int]]) -> None:
    options = DecodeOptions(method="early-exit", seed=3, draft_length=4)
    together = rows(decode(model, drafting, options, texts))
    assert together == [rows(decode(model, drafting, options, [text]))[0] for text in texts]


def test_a_perfect_draft_is_accepted_whole(model: TextToSemantic, texts: list[list[int]]) -> None:
    """Rollback, hidden states and the exit's own cache are right only if a copy of the target is never rejected."""
    perfect = {"early-exit": Drafting({"early-exit": early_exit_like(model, 0.0)}), "draft-model": Drafting({}, model)}
    for method, drafting in perfect.items():
        stats = decode(model, drafting, DecodeOptions(method=method, seed=1, draft_length=4), texts).stats
        assert stats.acceptance_by_position == (1.0,) * 4, method
        assert stats.block_efficiency > 4.0, method


def test_a_noisy_draft_is_accepted_in_part(model: TextToSemantic, drafting: Drafting, texts: list[list[int]]) -> None:
    """Neither all nor nothing: raggedness is exercised by the tests above."""
    for method in ("early-exit", "draft-model"):
        stats = decode(model, drafting, DecodeOptions(method=method, seed=1, draft_length=4), texts).stats
        assert 0.1 < stats.acceptance_rate < 0.99, method
        assert list(stats.acceptance_by_position) == sorted(stats.acceptance_by_position, reverse=True)


def test_auto_falls_back_where_drafts_do_not_pay(model: TextToSemantic, drafting: Drafting) -> None:
    hopeless = DraftCosts(acceptance=((0.01,), (0.01,)), rounds={1: (1.0, 1.5, 2.0)})
    controller = AdaptiveController(hopeless, 2)
    assert [controller.plan(1).shape.nodes for _ in range(10)] == [0] * 10


def test_nan_stops_one_utterance(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], autoregressive: Autoregressive
) -> None:
    """A text id whose embedding is NaN breaks its own utterance; the others finish as ever."""
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.text_embedding.weight[29] = torch.nan
    hurt = [index for index, text in enumerate(texts) if 29 in text]
    assert 0 < len(hurt) < len(texts)
    wanted = autoregressive(seed=1, batch_size=3)
    for method in ("autoregressive", *METHODS):
        options = DecodeOptions(method=method, seed=1, draft_length=2, batch_size=3)
        found = decode(broken, drafting, options, texts)
        for index in range(len(texts)):
            if index in hurt:
                assert found.stop_reasons[index] == "error" and not len(found.tokens[index])
                assert f"utterance {index}" in found.errors[index]
            else:
                assert found.tokens[index].tolist() == wanted.tokens[index].tolist()
        assert sorted(found.errors) == hurt
