"""The recipe on a random checkpoint in a few steps: imported, accelerated, compared."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
import torch

from spear_accel.accelerate import job
from spear_accel.accelerate.costs import TunePlan
from tests.importers.conftest import spear_table
from tests.recipes.test_experiments import SCRIPTS

FOLDER = SCRIPTS.parent / "import_and_accelerate"


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["spear-tts-pytorch"])
def test_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(
        job, "TunePlan", lambda **_: TunePlan(rows=(1, 2), longest=2, candidates=1, tokens=20, utterances=2, repeats=1)
    )
    torch.save({"model": spear_table()}, tmp_path / "model.pt")
    generator = random.Random(0)
    lines = [" ".join(str(generator.randrange(1, 20)) for _ in range(5)) for _ in range(12)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(FOLDER))
    sys.modules.pop("import_and_accelerate", None)
    import import_and_accelerate

    more = ("--steps", "3", "--utterances", "12", "--batch-sizes", "1,2")
    import_and_accelerate.whole(
        layout,
        tmp_path / "model.pt",
        tmp_path / "lines.txt",
        tmp_path / "voice",
        1.0,
        ["--text-tokenizer", "ids"],
        *more,
    )
    assert "12 lines: the same tokens" in capsys.readouterr().out
    assert (tmp_path / "voice.accelerate" / "report" / "report.md").exists()
    sys.modules.pop("import_and_accelerate", None)


@pytest.mark.slow
def test_a_t5_trained_by_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs by the shipped voice, a minute of training, import, a few steps of heads, the comparison."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(
        job, "TunePlan", lambda **_: TunePlan(rows=(1, 2), longest=2, candidates=1, tokens=20, utterances=2, repeats=1)
    )
    words = "a small boat lay on the beach and nobody came for it".split()
    generator = random.Random(0)
    lines = [" ".join(generator.sample(words, 3)).capitalize() + "." for _ in range(90)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(FOLDER))
    sys.modules.pop("import_and_accelerate", None)
    import hugging_face_units

    monkeypatch.setattr(hugging_face_units, "_COMPARED", 4)
    more = ("--steps", "3", "--utterances", "12", "--batch-sizes", "1,2")
    report = hugging_face_units.whole(
        tmp_path / "lines.txt", tmp_path / "work", "kathleen", 1.5, 1.0, hugging_face_units.SMALL, *more
    )
    assert report["same as autoregressive"]
    assert report["lines as generate says them"] + report["the same up to a loop"] == 4
    assert (tmp_path / "work" / "report.json").exists()
    for name in ("import_and_accelerate", "hugging_face_units"):
        sys.modules.pop(name, None)
