"""Every drafter under the coupled rule: the autoregressive tokens, whatever drafts, in any batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from spear_accel.decoding import DecodeOptions, DecodeResult, Engine, Guards, LengthGuard
from spear_accel.decoding.control.adaptive import AdaptiveLength, DraftCosts, FixedLength
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.draft.base import Drafter, Round
from spear_accel.decoding.draft.early_exit import EarlyExitDrafter
from spear_accel.decoding.draft.layer_skip import SkipSet
from spear_accel.decoding.draft.parallel import ParallelDrafter
from spear_accel.decoding.draft.prophet import ProphetDrafter
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.tree import TreeShape
from spear_accel.errors import UserError
from spear_accel.heads import EarlyExit, Prophet, ProphetLinear, build_head, trunk_pass
from spear_accel.model import TextToSemantic
from spear_accel.model.decoder import DecoderLayer

GUARDS = Guards(length=LengthGuard(tokens_per_unit=5.0, shortest=0.3, longest=1.5, slack=10))
METHODS = (
    "early-exit", "prophet", "prophet-linear", "medusa", "recurrent", "draft-model", "layer-skip", "ngram", "jacobi",
)  # fmt: skip


def noisy(module: nn.Module, share: float) -> nn.Module:
    """A copy whose weights are off by `share` of their spread: it agrees often, not always."""
    generator = torch.Generator().manual_seed(0)
    copied = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in copied.parameters():
            if parameter.dim() > 1:
                parameter += share * parameter.std() * torch.randn(parameter.shape, generator=generator)
    return copied


def early_exit_like(model: TextToSemantic, share: float) -> EarlyExit:
    """A head that is the target's last layer: with no noise it says what the target says."""
    last = model.config.decoder_layers - 1
    head = build_head("early-exit", {"exit_layer": last, "ff_inner": model.config.ff_inner}, model.config)
    assert isinstance(head, EarlyExit)
    layer = model.decoder.stack[last].state_dict()
    head.blocks[0].load_state_dict({key: layer[key] for key in head.blocks[0].state_dict()})
    head.norm.load_state_dict(model.decoder.final_norm.state_dict())
    head.begin_like(model.decoder.embedding.weight)
    changed = noisy(head, share)
    assert isinstance(changed, EarlyExit)
    return changed


def prophet_like(kind: str, model: TextToSemantic, values: dict[str, int]) -> nn.Module:
    torch.manual_seed(3)
    head = build_head(kind, values, model.config)
    head.begin_like(model.decoder.embedding.weight)  # type: ignore[operator]
    return head


@pytest.fixture(scope="session")
def drafting(model: TextToSemantic) -> Drafting:
    draft_model = noisy(model, 0.05)
    assert isinstance(draft_model, TextToSemantic)
    heads = {
        "early-exit": early_exit_like(model, 0.1),
        "prophet": prophet_like("prophet", model, {"starts": 3}),
        "prophet-linear": prophet_like("prophet-linear", model, {"horizon": 8}),
        "medusa": prophet_like("medusa", model, {"horizon": 8}),
        "recurrent": prophet_like("recurrent", model, {"inner": 48}),
    }
    return Drafting(heads, draft_model, Tuning(skip=SkipSet((1,), (0,))))


def decode(model: TextToSemantic, drafting: Drafting, options: DecodeOptions, texts: list[list[int]]) -> DecodeResult:
    method = drafting.resolve(options, len(texts))
    drafter, policy = drafting.prepare(model, method, options)
    return Engine(model, options, GUARDS, drafter, policy=policy).decode(texts)


def rows(result: DecodeResult) -> list[list[int]]:
    return [row.tolist() for row in result.tokens]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("draft_length", [1, 2, 4, 8, "auto"])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_coupled_says_what_autoregressive_decoding_says(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    method: str,
    temperature: float,
    draft_length: int,
    batch_size: int,
) -> None:
    plain = DecodeOptions(method="autoregressive", temperature=temperature, seed=4, batch_size=batch_size)
    fast = DecodeOptions(
        method=method, temperature=temperature, seed=4, batch_size=batch_size, draft_length=draft_length
    )
    wanted = Engine(model, plain, GUARDS).decode(texts)
    found = decode(model, drafting, fast, texts)
    assert rows(found) == rows(wanted)
    assert found.stop_reasons == wanted.stop_reasons and found.seeds == wanted.seeds
    assert found.stats.committed == wanted.stats.committed
    if draft_length != "auto":
        assert found.stats.drafted > 0
        assert len(found.stats.reached) <= draft_length if method == "ngram" else draft_length


@pytest.mark.parametrize("method", ["early-exit", "prophet", "prophet-linear", "medusa", "recurrent", "draft-model"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_drafts_of_less_precision_change_no_token(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], method: str, batch_size: int
) -> None:
    """Heads and draft models may compute in bfloat16 for a target in float32; only acceptance can suffer."""
    coarse = Drafting(
        {kind: copy.deepcopy(head).bfloat16() for kind, head in drafting.heads.items()},
        copy.deepcopy(drafting.draft_model).bfloat16(),  # type: ignore[union-attr]
    )
    plain = DecodeOptions(method="autoregressive", seed=4, batch_size=batch_size)
    fast = replace(plain, method=method, draft_length=4)
    wanted, exact = Engine(model, plain, GUARDS).decode(texts), decode(model, drafting, fast, texts)
    found = decode(model, coarse, fast, texts)
    assert rows(found) == rows(wanted)
    assert 0.8 * exact.stats.accepted <= found.stats.accepted <= 1.2 * exact.stats.accepted


@pytest.mark.parametrize("method", ["prophet", "prophet-linear", "medusa", "recurrent", "draft-model"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize(("draft_length", "candidates"), [(1, 4), (3, 2), (5, 3), ("auto", 3)])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_candidates_change_no_token_either(
    model: TextToSemantic,
    drafting: Drafting,
    texts: list[list[int]],
    method: str,
    temperature: float,
    draft_length: int,
    candidates: int,
    batch_size: int,
) -> None:
    plain = DecodeOptions(method="autoregressive", temperature=temperature, seed=4, batch_size=batch_size)
    wide = replace(plain, method=method, draft_length=draft_length, candidates=candidates)
    wanted, found = Engine(model, plain, GUARDS).decode(texts), decode(model, drafting, wide, texts)
    assert rows(found) == rows(wanted)
    assert found.stats.committed == wanted.stats.committed


@pytest.mark.parametrize("method", ["prophet", "prophet-linear", "draft-model", "layer-skip"])
@pytest.mark.parametrize("fields", [{"repetition_penalty": 1.6, "repetition_window": 4}, {"cond_scale": 1.8}], ids=str)
def test_candidates_under_penalties_guidance_and_least_lengths(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], method: str, fields: dict[str, float]
) -> None:
    """A node is judged by the tokens in front of it and its own position, not by its number."""
    plain = DecodeOptions(method="autoregressive", seed=2, temperature=1.5, **fields)  # type: ignore[arg-type]
    wide = replace(plain, method=method, draft_length=3, candidates=3)
    guards = Guards(length=LengthGuard(tokens_per_unit=5.0, shortest=1.0, longest=1.5, slack=10))
    wanted = Engine(model, plain, guards).decode(texts)
    drafter, policy = drafting.prepare(model, method, wide)
    found = Engine(model, wide, guards, drafter, policy=policy).decode(texts)
    assert rows(found) == rows(wanted)
    assert any(reason == "eos" for reason in wanted.stop_reasons)


@pytest.mark.parametrize("method", ["prophet", "early-exit", "draft-model", "layer-skip"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_drafts_that_doubt_themselves_change_no_token_either(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], method: str, temperature: float, batch_size: int
) -> None:
    plain = DecodeOptions(method="autoregressive", temperature=temperature, seed=4, batch_size=batch_size)
    doubting = replace(plain, method=method, draft_exit=True)
    wanted, found = Engine(model, plain, GUARDS).decode(texts), decode(model, drafting, doubting, texts)
    assert rows(found) == rows(wanted)
    whole = decode(model, drafting, replace(doubting, draft_exit=False, draft_length=8), texts)
    assert found.stats.drafted < whole.stats.drafted
    if method != "early-exit":  # of this one nearly all is accepted anyway
        assert found.stats.acceptance_rate > whole.stats.acceptance_rate


@pytest.mark.parametrize("method", ["prophet-linear", "medusa"])
def test_trees_change_no_token_either(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], method: str
) -> None:
    """Candidates behind any node: heads that say all at once do not mind which node they follow."""
    shape = TreeShape((-1, -1, -1, 0, 0, 1, 3, 5, 6))
    options = DecodeOptions(method=method, seed=4, batch_size=3)
    wanted = Engine(model, replace(options, method="autoregressive"), GUARDS).decode(texts)
    drafter = drafting.drafter(model, method, 4)
    found = Engine(model, options, GUARDS, drafter, policy=Always(shape)).decode(texts)
    assert rows(found) == rows(wanted)
    chain_only = Engine(model, options, GUARDS, drafting.drafter(model, method, 4), policy=FixedLength(4)).decode(texts)
    assert found.stats.block_efficiency > chain_only.stats.block_efficiency


class Always:
    """A policy of one shape."""

    def __init__(self, shape: TreeShape) -> None:
        self._shape, self.most_nodes = shape, shape.nodes

    def shape(self, live: int) -> TreeShape:
        return self._shape

    def observe(self, shape: TreeShape, rows: object, seconds: float) -> None:
        """Nothing to learn."""


@pytest.mark.parametrize("method", ["prophet", "prophet-linear", "medusa", "recurrent", "draft-model"])
@pytest.mark.parametrize("verify", ["rejection", "k-seq", "lenient"])
def test_other_rules_end_their_utterances_too(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], method: str, verify: str
) -> None:
    """Their law is tested elsewhere; here, that rows keep to themselves and that the seed decides."""
    options = DecodeOptions(method=method, verify=verify, draft_length=3, seed=2, loop_retries=0)
    together = decode(model, drafting, options, texts)
    assert rows(together) == [rows(decode(model, drafting, options, [text]))[0] for text in texts]
    assert rows(together) != rows(decode(model, drafting, replace(options, seed=3), texts))
    assert together.stats.accepted > 0
    assert together.lossless == (verify != "lenient")


def test_k_seq_needs_independent_drafts(model: TextToSemantic, drafting: Drafting) -> None:
    with pytest.raises(UserError, match="k-seq' needs drafts drawn independently"):
        drafting.prepare(model, "early-exit", DecodeOptions(method="early-exit", verify="k-seq"))


def test_skipping_nothing_is_the_target(model: TextToSemantic, texts: list[list[int]]) -> None:
    whole = Drafting(tuning=Tuning(skip=SkipSet()))
    stats = decode(model, whole, DecodeOptions(method="layer-skip", draft_length=3), texts).stats
    assert stats.acceptance_by_position == (1.0, 1.0, 1.0)


def test_skip_sets_that_do_not_fit_are_refused(model: TextToSemantic) -> None:
    for skip, fault in ((SkipSet((3,)), "layer 3 is not there"), (SkipSet((0, 1, 2)), "every attention block")):
        with pytest.raises(UserError, match=fault):
            Drafting(tuning=Tuning(skip=skip)).drafter(model, "layer-skip", 2)
    with pytest.raises(UserError, match="needs a skip set"):
        Drafting().resolve(DecodeOptions(method="layer-skip"), 1)


def test_candidates_make_paths_longer(model: TextToSemantic, drafting: Drafting, texts: list[list[int]]) -> None:
    small = noisy(model, 0.3)
    assert isinstance(small, TextToSemantic)
    for method, own in (("prophet", drafting), ("draft-model", Drafting({}, small))):
        wide = [DecodeOptions(method=method, draft_length=3, candidates=count) for count in (1, 2, 4)]
        found = [decode(model, own, options, texts).stats.block_efficiency for options in wide]
        assert found[0] < found[1] < found[2], method


@torch.no_grad()
def test_cache_of_a_tree_is_that_of_a_fresh_prefill(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]]
) -> None:
    options = DecodeOptions(method="draft-model", seed=3, draft_length=3, candidates=3, batch_size=4)
    drafter, policy = drafting.prepare(model, "draft-model", options)
    checked = Refilled(drafter, model, texts[:4])
    Engine(model, options, GUARDS, checked, policy=policy).decode(texts[:4])  # type: ignore[arg-type]
    assert checked.compared > 100


def test_more_candidates_than_a_method_can_draft_are_refused(model: TextToSemantic, drafting: Drafting) -> None:
    for method, verify in (("early-exit", "coupled"), ("prophet", "rejection")):
        options = DecodeOptions(method=method, verify=verify, draft_length=2, candidates=2)
        with pytest.raises(UserError, match="candidates 2"):
            drafting.prepare(model, method, options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "fields", [{"top_k": 5}, {"top_p": 0.8}, {"repetition_penalty": 1.4, "repetition_window": 6}, {"cond_scale": 1.8}],
    ids=str,
)  # fmt: skip
def test_filters_penalties_and_guidance(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], method: str, fields: dict[str, float]
) -> None:
    """Applied to every draft position with its hypothetical prefix, on draft and target alike."""
    plain = Engine(model, DecodeOptions(method="autoregressive", seed=2, **fields), GUARDS).decode(texts)  # type: ignore[arg-type]
    fast = decode(model, drafting, DecodeOptions(method=method, seed=2, draft_length=3, **fields), texts)  # type: ignore[arg-type]
    assert rows(fast) == rows(plain)


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


class Recorder:
    """Passes everything on and writes down what was proposed behind which tokens."""

    def __init__(self, inner: Drafter) -> None:
        self.inner, self.longest = inner, inner.longest
        self.seen: list[tuple[list[list[int]], Proposal]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        return getattr(self.inner, name)  # type: ignore[no-any-return]

    def propose(self, current: Round) -> Proposal:
        proposal = self.inner.propose(current)
        self.seen.append(([list(row) for row in current.committed], proposal))
        return proposal


@pytest.mark.parametrize("kind", ["prophet", "prophet-linear", "medusa", "recurrent", "early-exit"])
def test_drafts_follow_the_last_committed_position(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]], kind: str
) -> None:
    """The law of every draft equals that of the head, teacher forced on the committed tokens and the draft."""
    head, options = drafting.heads[kind], DecodeOptions(seed=6, draft_length=3)
    guards = Guards(length=LengthGuard(tokens_per_unit=5.0, shortest=0.0, longest=1.5, slack=10))
    for text in texts[:2]:
        drafter, _ = drafting.prepare(model, kind, options)
        recorder = Recorder(drafter)
        Engine(model, options, guards, recorder).decode([text])  # type: ignore[arg-type]
        assert len(recorder.seen) > 5
        ids = torch.tensor([[*text, model.config.text_eos_id]])
        for [committed], proposal in recorder.seen:
            law = taught(model, head, ids, committed, proposal.tokens[0].tolist())
            torch.testing.assert_close(proposal.log_q[0], law, atol=1e-4, rtol=1e-4)  # type: ignore[index]


@torch.no_grad()
def taught(model: TextToSemantic, head: nn.Module, ids: Tensor, committed: list[int], drafted: list[int]) -> Tensor:
    """Log-probabilities [n, V] of the drafted tokens by `head.teach`."""
    trunk = trunk_pass(model, ids, torch.tensor([[*committed, *drafted]]))
    first, count = len(committed), len(drafted)
    if isinstance(head, EarlyExit):
        logits = head.teach(trunk, torch.arange(first, first + count))[0, :, 0]
    else:
        logits = head.teach(trunk, torch.tensor([first]))[0, 0, :count]  # type: ignore[operator]
    return (logits / 0.7).log_softmax(-1)


def test_no_layer_below_the_exit_runs_twice(
    model: TextToSemantic, texts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: dict[int, int] = {}
    order = {layer: number for number, layer in enumerate(model.decoder.stack)}
    step = DecoderLayer.step

    def counting(self: DecoderLayer, x: Tensor, *rest: object) -> Tensor:
        if self in order:
            runs[order[self]] = runs.get(order[self], 0) + x.shape[0] * x.shape[1]
        return step(self, x, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(DecoderLayer, "step", counting)
    drafting = Drafting({"early-exit": early_exit_like(model, 0.1)})
    stats = decode(model, drafting, DecodeOptions(method="early-exit", draft_length=3, batch_size=3), texts).stats
    verified = stats.row_calls + stats.drafted
    assert runs == dict.fromkeys(range(model.config.decoder_layers), verified)


def test_rejected_slots_are_never_read(model: TextToSemantic, drafting: Drafting, texts: list[list[int]]) -> None:
    """Poison behind every row's length. One row: NaN. Ragged rows: huge numbers, because fused attention multiplies
    masked values by zero and 0 * NaN is NaN."""
    options = DecodeOptions(method="early-exit", seed=3, draft_length=4, batch_size=3)
    for chosen, poison in ((texts[1:2], float("nan")), (texts, 1e30)):
        wanted = rows(decode(model, drafting, options, chosen))
        drafter, policy = drafting.prepare(model, "early-exit", options)
        poisoned = Poisoned(drafter, poison)
        assert rows(Engine(model, options, GUARDS, poisoned, policy=policy).decode(chosen)) == wanted  # type: ignore[arg-type]
        assert poisoned.slots > 0


class Poisoned(Recorder):
    """Writes `value` into every slot behind the committed ones, before each draft."""

    def __init__(self, inner: Drafter, value: float) -> None:
        super().__init__(inner)
        self.value, self.slots = value, 0

    def propose(self, current: Round) -> Proposal:
        assert isinstance(self.inner, EarlyExitDrafter)
        for cache in (current.state.own, self.inner._cache):
            for row, length in enumerate(cache.lengths):
                cache.storage[:, :, row, :, length:] = self.value
                self.slots += cache.storage.shape[4] - length
        return self.inner.propose(current)


@torch.no_grad()
def test_cache_after_each_round_is_that_of_a_fresh_prefill(
    model: TextToSemantic, drafting: Drafting, texts: list[list[int]]
) -> None:
    options = DecodeOptions(method="early-exit", seed=3, draft_length=3, batch_size=4)
    drafter, policy = drafting.prepare(model, "early-exit", options)
    checked = Refilled(drafter, model, texts[:4])
    Engine(model, options, GUARDS, checked, policy=policy).decode(texts[:4])  # type: ignore[arg-type]
    assert checked.compared > 100


class Refilled(Recorder):
    """Compares the cache with one that read the committed tokens afresh."""

    def __init__(self, inner: Drafter, model: TextToSemantic, texts: list[list[int]]) -> None:
        super().__init__(inner)
        self.model, self.compared = model, 0
        self.texts: list[list[int]] = []

    def admit(self, state: object, texts: Tensor) -> None:
        self.texts += [[token for token in row.tolist() if token >= 0] for row in texts]
        self.inner.admit(state, texts)  # type: ignore[arg-type]

    def select(self, rows: list[int]) -> None:
        self.texts = [self.texts[row] for row in rows]
        self.inner.select(rows)

    def propose(self, current: Round) -> Proposal:
        for row, (text, tokens) in enumerate(zip(self.texts, current.committed, strict=True)):
            length = len(tokens)
            if length == 0:
                continue
            fresh = self.model.start(torch.tensor([text]), 200)
            read = [self.model.config.start_id, *tokens[:-1]]
            self.model.decoder.forward(torch.tensor([read]), fresh)
            torch.testing.assert_close(
                current.state.own.storage[:, :, row, :, :length], fresh.own.storage[:, :, 0, :, :length],
                atol=1e-5, rtol=1e-5,
            )  # fmt: skip
            self.compared += length
        return self.inner.propose(current)


def test_auto_falls_back_where_drafts_do_not_pay(model: TextToSemantic, drafting: Drafting) -> None:
    hopeless = DraftCosts(acceptance=((0.01,), (0.01,)), rounds={1: (1.0, 1.5, 2.0)})
    policy = AdaptiveLength(hopeless, 2)
    assert [policy.shape(1).nodes for _ in range(10)] == [0] * 10


def test_a_method_without_its_head_is_refused(model: TextToSemantic) -> None:
    with pytest.raises(UserError, match="train one with: spear-accel train heads"):
        Drafting().resolve(DecodeOptions(method="prophet"), 1)
    with pytest.raises(UserError, match="needs a draft model"):
        Drafting().resolve(DecodeOptions(method="draft-model"), 1)
    assert Drafting().resolve(DecodeOptions(), 1) == "autoregressive"


def test_draft_lengths_beyond_the_head_are_refused(model: TextToSemantic, drafting: Drafting) -> None:
    with pytest.raises(UserError, match="drafts at most 8 tokens"):
        drafting.prepare(model, "prophet-linear", DecodeOptions(method="prophet-linear", draft_length=9))
    assert isinstance(drafting.heads["prophet"], Prophet) and isinstance(
        drafting.heads["prophet-linear"], ProphetLinear
    )
    drafter, policy = drafting.prepare(model, "prophet", DecodeOptions(method="prophet", draft_length=12))
    assert isinstance(drafter, ProphetDrafter) and policy.most_nodes == 12
    assert ParallelDrafter(drafting.heads["prophet-linear"], 3).longest == 3  # type: ignore[arg-type]


def test_nan_stops_one_utterance(model: TextToSemantic, drafting: Drafting, texts: list[list[int]]) -> None:
    """A text id whose embedding is NaN breaks its own utterance; the others finish as ever."""
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.text_embedding.weight[29] = torch.nan
    hurt = [index for index, text in enumerate(texts) if 29 in text]
    assert 0 < len(hurt) < len(texts)
    for method in ("autoregressive", *METHODS):
        options = DecodeOptions(method=method, seed=1, draft_length=2, batch_size=3)
        wanted, found = decode(model, drafting, options, texts), decode(broken, drafting, options, texts)
        for index in range(len(texts)):
            if index in hurt:
                assert found.stop_reasons[index] == "error" and not len(found.tokens[index])
                assert f"utterance {index}" in found.errors[index]
            else:
                assert found.tokens[index].tolist() == wanted.tokens[index].tolist()
        assert sorted(found.errors) == hurt
