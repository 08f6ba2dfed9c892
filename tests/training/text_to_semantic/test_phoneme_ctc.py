"""The pronunciation phase: it learns a spelling, hands its encoder on, and leaves the decoder alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage.json_lines import write_manifest
from spear_accel.training.loop.settings import build
from spear_accel.training.text_to_semantic.phoneme_ctc import PhonemeCtcTask, PhonemeCtcTraining
from spear_accel.training.text_to_semantic.train import load_trained, train

SHAPE = {
    "text_vocab_size": 8, "text_pad_id": 0, "text_eos_id": 7, "semantic_units": 9, "dim": 32, "heads": 2, "kv_heads": 2,
    "head_dim": 16, "encoder_layers": 1, "decoder_layers": 1, "ff_inner": 32, "dropout": 0.0,
}  # fmt: skip
SOUNDS = {2: ["a"], 3: ["b"], 4: ["k"], 5: ["k"], 6: []}  # two spellings of one sound, and a silent letter


@pytest.fixture
def spellings(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(2, 7, (12,), generator=generator).tolist() for _ in range(60)]
    records = [
        {"id": str(i), "text_ids": row, "phonemes": [s for letter in row for s in SOUNDS[letter]]}
        for i, row in enumerate(rows)
    ]
    write_manifest(tmp_path / "spellings.jsonl", records)
    return tmp_path / "spellings.jsonl"


def task(spellings: Path) -> PhonemeCtcTask:
    config = PhonemeCtcTraining((str(spellings),), str(spellings), batch_text=200)
    return PhonemeCtcTask(config, TextToSemantic(TextToSemanticConfig(**SHAPE)))


def test_learns_to_pronounce_and_hands_its_encoder_on(spellings: Path, tmp_path: Path) -> None:
    settings = {
        "output": str(tmp_path / "run"), "model": SHAPE,
        "data": {"phase": "pronounce", "manifests": [str(spellings)], "validation": str(spellings), "batch_text": 200},
        "loop": {"steps": 150, "learning_rate": 0.01, "warmup_steps": 10, "precision": "no", "save_every": 150},
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    assert train(tmp_path / "run.yaml")["phoneme_error_rate"] < 0.3
    torch.manual_seed(0)
    untouched, trained = TextToSemantic(TextToSemanticConfig(**SHAPE)), load_trained(tmp_path / "run")
    assert not torch.equal(trained.text_embedding.weight, untouched.text_embedding.weight)
    assert torch.equal(trained.decoder.embedding.weight, untouched.decoder.embedding.weight)


def test_the_text_side_gets_gradients_and_the_decoder_none(spellings: Path) -> None:
    torch.manual_seed(0)
    own = task(spellings)
    batch = own.collate([own.dataset()[i] for i in range(20)])
    _, loss, _ = next(own.losses(own.modules, batch))
    loss.backward()
    for name, parameter in own.modules["phoneme_ctc"].named_parameters():
        if name.startswith("model.decoder."):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_texts_that_ctc_cannot_write_are_left_out(tmp_path: Path) -> None:
    records = [
        {"id": "a", "text_ids": [2, 3], "phonemes": ["a", "b"]},
        {"id": "b", "text_ids": [2], "phonemes": ["a", "b", "k"]},
        {"id": "c", "text_ids": [2], "phonemes": []},
    ]
    write_manifest(tmp_path / "s.jsonl", records)
    assert len(task(tmp_path / "s.jsonl").dataset()) == 1


def test_no_manifest_is_refused() -> None:
    with pytest.raises(UserError, match=r"run\.yaml, data: manifests is empty"):
        build(PhonemeCtcTraining, {"manifests": [], "validation": "x"}, "run.yaml, data")
