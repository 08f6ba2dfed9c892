"""The model config: JSON round trip and refusals that name the field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spear_accel.errors import UserError
from spear_accel.model import TextToSemanticConfig
from spear_accel.storage.files import write_json

CONFIG = TextToSemanticConfig(text_vocab_size=300, semantic_units=500, text_eos_id=2, null_kv=False, kv_heads=2)


def test_round_trip(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", CONFIG.to_dict())
    assert TextToSemanticConfig.load(tmp_path / "config.json") == CONFIG


def test_special_ids_follow_the_units() -> None:
    assert (CONFIG.vocab, CONFIG.eos_id, CONFIG.start_id) == (501, 500, 501)


def test_unknown_and_missing_fields_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CONFIG.to_dict(), "colour": 1, "shape": 2}))
    with pytest.raises(UserError, match=r"config\.json: unknown field\(s\) colour, shape"):
        TextToSemanticConfig.load(path)
    partial = {key: value for key, value in CONFIG.to_dict().items() if key not in ("dim", "heads")}
    path.write_text(json.dumps(partial))
    with pytest.raises(UserError, match=r"config\.json: missing field\(s\) dim, heads"):
        TextToSemanticConfig.load(path)


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json"):
        TextToSemanticConfig.load(tmp_path / "config.json")


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: cannot read"):
        TextToSemanticConfig.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dim", 0), ("kv_heads", 3), ("head_dim", 7), ("dropout", 1.0), ("semantic_pad_id", 500),
        ("text_eos_id", 300), ("max_positions", 8),
    ],
)  # fmt: skip
def test_impossible_value_is_refused(field: str, value: float) -> None:
    with pytest.raises(UserError, match=field):
        TextToSemanticConfig.from_dict({**CONFIG.to_dict(), field: value})
