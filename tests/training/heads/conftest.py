"""A tiny model, what it says, and a folder to train in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spear_accel.model import TextToSemantic
from spear_accel.training.heads.on_policy import OnPolicySettings, on_policy_records
from spear_accel.voice import components
from tests.training.heads.helpers import (
    TEMPERATURE,
    Records,
    make_model,
    make_texts,
    pairs,
    write,
)


@pytest.fixture(scope="module")
def model() -> TextToSemantic:
    return make_model()


@pytest.fixture(scope="module")
def spoken(model: TextToSemantic, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """The model's own utterances, those that end within 40 tokens."""
    settings = OnPolicySettings("here", temperature=TEMPERATURE, seed=3, longest_tokens=40)
    records = on_policy_records(model, make_texts(60, 5), settings, tmp_path_factory.mktemp("own") / "own.jsonl", 60)
    return [record for record in records if record["stop_reason"] == "eos" and record["tokens"]]


@pytest.fixture(scope="module")
def model_folder(model: TextToSemantic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trunk") / "model"
    components.save_text_to_semantic(model, folder)
    return folder


@pytest.fixture
def place(model_folder: Path, tmp_path: Path) -> Path:
    """A folder with a model, texts to speak and pairs to learn."""
    shutil.copytree(model_folder, tmp_path / "model")
    write(tmp_path / "train.jsonl", pairs(40, 1))
    write(tmp_path / "validation.jsonl", pairs(16, 2))
    return tmp_path
