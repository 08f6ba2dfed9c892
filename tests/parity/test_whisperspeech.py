"""Imported WhisperSpeech checkpoints against what that package itself computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.importers import whisperspeech
from spear_accel.model import TextToSemantic
from tests.parity.conftest import checkpoints

TOLERANCE = 1e-4
FILES = checkpoints("whisperspeech", ".model")
Arrays = Callable[[Path], dict[str, Tensor]]


def prompts(model: TextToSemantic, golden: dict[str, Tensor]) -> list[list[int]]:
    """Ids that choose language and rate, then the bytes of the stripped text."""
    config, rows = model.config, []
    for row, length, language, cps in zip(
        golden["text_bytes"], golden["text_len"], golden["language"], golden["cps"], strict=True
    ):
        text = bytes(row[: int(length)].tolist()).strip()
        rows.append([config.language_id(int(language)), config.rate_id(float(cps)), *text])
    return rows


@pytest.mark.parametrize("checkpoint", FILES)
@torch.inference_mode()
def test_logits(checkpoint: Path, arrays: Arrays) -> None:
    golden, model = arrays(checkpoint), whisperspeech.load(checkpoint)
    chosen = {"language": golden["language"], "cps": golden["cps"]}
    found = model(golden["in_ttoks"], golden["in_stoks"][:, 1:], **chosen)
    assert torch.allclose(found, golden["logits"], rtol=0.0, atol=TOLERANCE)
    short = golden["in_ttoks"][:, : int(golden["text_len"].max()) + 1]
    assert torch.equal(model(short, golden["in_stoks"][:, 1:], **chosen), found)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("checkpoint", FILES)
def test_greedy_tokens(checkpoint: Path, arrays: Arrays, batch_size: int) -> None:
    golden, model = arrays(checkpoint), whisperspeech.load(checkpoint)
    result = Engine(model, DecodeOptions(temperature=0.0, batch_size=batch_size)).decode(prompts(model, golden))
    for row, reason, tokens, length, stopped in zip(
        result.tokens, result.stop_reasons, golden["greedy_tokens"], golden["greedy_len"], golden["greedy_stopped"],
        strict=True,
    ):  # fmt: skip
        assert row.tolist() == tokens[: int(length)].tolist()
        assert (reason == "eos") == bool(stopped)


@pytest.mark.parametrize("checkpoint", FILES)
def test_language_codes_are_in_the_order_of_the_table(checkpoint: Path) -> None:
    import json

    told = json.loads(checkpoint.with_suffix(".json").read_text())["lang"]
    with_numbers = checkpoint.with_suffix(".npz")
    import numpy as np

    with np.load(with_numbers) as held:
        assert [whisperspeech.LANGUAGES[number] for number in held["language"]] == told
