"""A model's own utterances: the same whatever kills the run, and never mixed with those of another model."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spear_accel.decoding import DecodeOptions, DecodeResult, Engine
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.heads.on_policy import OnPolicySettings, on_policy_records

COUNT = 19


@pytest.fixture(scope="module")
def model() -> TextToSemantic:
    """Weights so large that utterances end by themselves, or in a loop."""
    torch.manual_seed(1)
    config = TextToSemanticConfig(
        text_vocab_size=30, semantic_units=20, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=1,
        decoder_layers=2, ff_inner=48, embedding_scale=6.0, text_eos_id=2,
    )  # fmt: skip
    model = TextToSemantic(config).eval()
    with torch.no_grad():
        model.decoder.embedding.weight.mul_(8.0)
    return model


@pytest.fixture(scope="module")
def texts() -> list[list[int]]:
    """Ten different ones."""
    generator = random.Random(5)
    return [[generator.randint(3, 29) for _ in range(2 + number % 5)] for number in range(10)]


@pytest.fixture
def settings(tmp_path: Path) -> OnPolicySettings:
    return OnPolicySettings(str(tmp_path), temperature=1.0, seed=4, batch_size=2, longest_tokens=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples" / "training.jsonl"


@pytest.fixture(scope="module")
def whole(model: TextToSemantic, texts: list[list[int]], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The manifest of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    settings = OnPolicySettings(str(folder), temperature=1.0, seed=4, batch_size=2, longest_tokens=30)
    on_policy_records(model, texts, settings, folder / "training.jsonl", COUNT)
    return (folder / "training.jsonl").read_bytes()


def alone(model: TextToSemantic, record: dict[str, Any], settings: OnPolicySettings) -> DecodeResult:
    options = DecodeOptions(
        method="autoregressive", temperature=settings.temperature, seed=record["seed"],
        max_tokens=settings.longest_tokens, loop_retries=0,
    )  # fmt: skip
    return Engine(model, options).decode([record["text_ids"]])


def test_a_record_is_what_decoding_says_with_its_seed(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path
) -> None:
    records = on_policy_records(model, texts, settings, path, COUNT)
    assert records == [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        result = alone(model, record, settings)
        assert record["tokens"] == result.tokens[0].tolist()
        assert record["stop_reason"] == result.stop_reasons[0]
    assert {record["stop_reason"] for record in records} == {"eos", "max_length"}


def test_an_utterance_tried_again_names_the_seed_that_made_it(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path
) -> None:
    """At a low temperature many utterances loop, and not all of them again."""
    settings = replace(settings, temperature=0.3, longest_tokens=90, batch_size=8)
    records = on_policy_records(model, texts, settings, path, 10)
    again = [record for record in records if record["seed"] != 4]
    assert {"loop"} < {record["stop_reason"] for record in again}
    for record in again[:4]:
        assert record["tokens"] == alone(model, record, settings).tokens[0].tolist()


def test_texts_spoken_again_get_the_next_seed(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path
) -> None:
    """A text that comes twice is one text."""
    records = on_policy_records(model, [*texts[:3], texts[1]], settings, path, 8)
    assert [record["id"] for record in records] == [str(number) for number in range(8)]
    assert [record["text_ids"] for record in records] == [texts[n] for n in (0, 1, 2, 0, 1, 2, 0, 1)]
    assert [record["seed"] for record in records] == [4, 4, 4, 5, 5, 5, 6, 6]
    assert records[0]["tokens"] != records[3]["tokens"]


def stop_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """The engine is killed when it is asked for the `call`-th time, from 1."""
    decode, calls = Engine.decode, iter(range(1, 100))

    def killed(self: Engine, *arguments: Any, **named: Any) -> DecodeResult:
        if next(calls) == call:
            raise KeyboardInterrupt
        return decode(self, *arguments, **named)  # type: ignore[no-any-return]

    monkeypatch.setattr(Engine, "decode", killed)


@pytest.mark.parametrize(("call", "lost"), [(1, 0), (2, 0), (2, 1), (3, 7), (3, 400)])
def test_a_killed_run_goes_on_to_the_same_manifest(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path, whole: bytes,
    monkeypatch: pytest.MonkeyPatch, call: int, lost: int,
) -> None:  # fmt: skip
    """Killed between chunks, and with the last bytes not yet on the disk."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, call)
        on_policy_records(model, texts, settings, path, COUNT)
    if call > 1:
        written = path.read_bytes()
        assert written.count(b"\n") == 8 * (call - 1)
        path.write_bytes(written[: len(written) - lost])
    records = on_policy_records(model, texts, settings, path, COUNT)
    assert path.read_bytes() == whole
    assert records == [json.loads(line) for line in whole.splitlines()]


def test_a_line_is_the_same_in_any_batch(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path, whole: bytes
) -> None:
    on_policy_records(model, texts, replace(settings, batch_size=7), path, COUNT)
    assert path.read_bytes() == whole


def test_what_was_spoken_is_not_spoken_again(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path, whole: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    on_policy_records(model, texts, replace(settings, count=5), path, 5)
    records = on_policy_records(model, texts, settings, path, COUNT)
    assert path.read_bytes() == whole
    stop_at(monkeypatch, 1)
    assert on_policy_records(model, texts, settings, path, COUNT) == records
    assert on_policy_records(model, texts, settings, path, 9) == records[:9]
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"temperature": 0.9}, "temperature"), ({"seed": 5}, "seed"), ({"longest_tokens": 31}, "longest_tokens"),
     ({"seed": 5, "temperature": 0.9}, "temperature, seed")],
)  # fmt: skip
def test_other_settings_are_refused(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path,
    changes: dict[str, Any], named: str,
) -> None:  # fmt: skip
    on_policy_records(model, texts, settings, path, 3)
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"holds work with another {named}; delete .* with training\.json or choose"):
        on_policy_records(model, texts, replace(settings, **changes), path, 4)
    assert path.read_bytes() == before


def test_another_model_or_other_texts_are_refused(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path
) -> None:
    on_policy_records(model, texts, settings, path, 3)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.decoder.final_norm.gain[3] += 1e-4
    with pytest.raises(UserError, match="another model"):
        on_policy_records(other, texts, settings, path, 3)
    with pytest.raises(UserError, match="another texts"):
        on_policy_records(model, [*texts[1:], texts[0]], settings, path, 3)


def test_a_manifest_of_unknown_origin_is_refused(
    model: TextToSemantic, texts: list[list[int]], settings: OnPolicySettings, path: Path
) -> None:
    on_policy_records(model, texts, settings, path, 3)
    path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"training\.json is missing beside it"):
        on_policy_records(model, texts, settings, path, 3)


def test_nothing_to_say_is_refused(model: TextToSemantic, settings: OnPolicySettings, path: Path) -> None:
    with pytest.raises(UserError, match=r"no texts to speak; name manifests with text_ids in data\.samples\.texts"):
        on_policy_records(model, [], settings, path, 3)
