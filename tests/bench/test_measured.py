"""The whole way with the real engine: a draft that is always right, one that is right at times, and a lossy rule."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch

from spear_accel import DecodeOptions
from spear_accel.bench import make_cases, make_records, measure
from spear_accel.bench.acceptance import predict
from spear_accel.bench.records import Conditions, Record
from spear_accel.decoding import DecodeResult, Engine
from spear_accel.decoding.methods import Drafting
from spear_accel.heads import build_head
from spear_accel.model import TextToSemantic, TextToSemanticConfig

TEXTS = ["abc", "defghi", "j", "klmno"]


@dataclass(frozen=True)
class EngineVoice:
    """A voice whose text ids are letters."""

    model: TextToSemantic
    drafting: Drafting

    def text_to_semantic(self, texts: Sequence[str], options: DecodeOptions | None = None) -> DecodeResult:
        chosen = options or DecodeOptions()
        drafter, controller = self.drafting.prepare(self.model, chosen.method, chosen)
        ids = [[ord(letter) - ord("a") + 3 for letter in text] for text in texts]
        return replace(
            Engine(self.model, chosen, drafter=drafter, controller=controller).decode(ids), method=chosen.method
        )


@pytest.fixture(scope="module")
def voice() -> EngineVoice:
    torch.manual_seed(1)
    config = TextToSemanticConfig(
        text_vocab_size=30, semantic_units=20, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=1,
        decoder_layers=2, ff_inner=48, embedding_scale=6.0, text_eos_id=2,
    )  # fmt: skip
    model = TextToSemantic(config).eval()
    with torch.no_grad():
        model.decoder.embedding.weight.mul_(8.0)
    head = build_head("prophet", {}, config)
    return EngineVoice(model, Drafting({"prophet": head}, copy.deepcopy(model)))


def records(voice: EngineVoice, methods: list[str], rules: list[str], sizes: list[int]) -> list[Record]:
    base = DecodeOptions(seed=2, temperature=0.7, max_tokens=20)
    runs = list(measure(voice, TEXTS, make_cases(methods, rules, [2]), sizes, base, repeats=1))
    return make_records(runs, Conditions.of(voice.model, base))


def test_coupled_decoding_is_identical_and_counted(voice: EngineVoice) -> None:
    found = records(voice, ["draft-model", "prophet"], ["coupled"], [1, 4])
    assert [record.method for record in found] == ["autoregressive", "draft-model", "prophet"] * 2
    assert all(record.identical_to_autoregressive for record in found)
    assert len({record.tokens for record in found}) == 1
    for record in found:
        if record.method == "autoregressive":
            assert record.block_efficiency == 1.0 and predict(record) is None
            continue
        assert record.mean_draft_length == 2.0 and len(record.acceptance_by_position) == 2
        assert record.draft_cost is not None and record.draft_cost > 0.0
        assert record.verify_cost is not None and record.verify_cost > 0.0
        assert 1.0 <= record.block_efficiency <= 3.0
    twin = found[1]
    assert twin.acceptance_by_position == (1.0, 1.0)
    expected = predict(twin)
    assert expected is not None and expected.alpha == 1.0 and expected.block_efficiency == 3.0


def test_a_lossy_rule_is_found_out(voice: EngineVoice) -> None:
    plain, lenient = records(voice, ["prophet"], ["lenient"], [4])
    assert plain.identical_to_autoregressive
    assert not lenient.identical_to_autoregressive
    assert lenient.first_difference is not None and lenient.different_utterances >= 1
