"""Other packages decode a model of the voice's shape, and stand in one table with ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.bench.peers import PEERS, Figure, Shape, compare, table_of
from spear_accel.bench.peers.roofline import tokens_per_second
from spear_accel.bench.peers.shape import build
from spear_accel.errors import UserError
from tests.model.conftest import lively, tiny_config


@pytest.mark.parametrize("changes", [{}, {"norm": "layer", "feed_forward": "gelu"}], ids=str)
@pytest.mark.parametrize(("peer", "precision"), [("ctranslate2", "int8"), ("transformers", "float32")])
def test_a_peer_decodes_what_it_is_asked_for(
    peer: str, precision: str, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many tokens a text as wanted, of texts of different lengths at once, drawn or not."""
    decode = build(peer, Shape.of(tiny_config(**changes)), torch.get_num_threads(), precision)
    counts: list[int] = []
    if peer == "transformers":
        from transformers import BartForConditionalGeneration

        plain = BartForConditionalGeneration.generate

        def counted(model: object, *arguments: object, **options: object) -> torch.Tensor:
            made: torch.Tensor = plain(model, *arguments, **options)
            counts.append(made.shape[1] - 1)
            return made

        monkeypatch.setattr(BartForConditionalGeneration, "generate", counted)
    else:
        import ctranslate2

        plain = ctranslate2.Translator.translate_batch

        def counted(translator: object, *arguments: object, **options: object) -> list[object]:
            made: list[object] = plain(translator, *arguments, **options)
            counts.extend(len(one.hypotheses[0]) for one in made)  # type: ignore[attr-defined]
            return made

        monkeypatch.setattr(ctranslate2.Translator, "translate_batch", counted)
    decode([[3, 4, 5], [6, 7]], 12, 0.7)
    decode([[3]], 5, 0.0)
    assert sorted(set(counts)) == [5, 12]


def test_a_peer_that_is_not_there_is_named(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"no peer 'tensorrt'; choose one of {', '.join(PEERS)}"):
        list(compare(voice, ["Yes."], [1], DecodeOptions(), 1, ["transformers", "tensorrt"]))
    monkeypatch.setattr("spear_accel.bench.peers.shape.find_spec", lambda name: None)
    with pytest.raises(UserError, match="peer ctranslate2 is not installed; pip install ctranslate2"):
        build("ctranslate2", Shape.of(tiny_config()), 1, "float32")


def test_the_roofline_falls_with_what_is_read(shared_voice: Path) -> None:
    model = lively(tiny_config(dim=256, heads=4, head_dim=64, ff_inner=1024))
    alone = tokens_per_second(model, "float32", 1, 40, 100)
    together = tokens_per_second(model, "float32", 16, 40, 100)
    assert 1e2 < alone < together < 16 * alone * 1.5


def test_the_table_compares_with_our_fastest() -> None:
    figures = [
        Figure("spear-accel autoregressive", "int8", 2, 8, 2000.0, 8000.0),
        Figure("spear-accel auto", "int8", 2, 8, 3000.0),
        Figure("ctranslate2", "int8", 1, 8, 1500.0), Figure("ctranslate2", "int8", 1, 1, 1500.0),
        Figure("spear-accel auto", "int8", 2, 1, 4500.0),
    ]  # fmt: skip
    rows = table_of(figures).rows
    assert [row[5] for row in rows] == ["1.50", "1.00", "2.00", "3.00", "1.00"]
    assert [row[6] for row in rows][:2] == ["0.25", "-"]


@pytest.mark.slow
def test_the_command_measures_both(shared_voice: Path, tmp_path: Path) -> None:
    """In processes of their own, which `spawn` starts from a program with a main guard."""
    import subprocess
    import sys

    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom spear_accel.cli.main import run\nif __name__ == '__main__':\n    sys.exit(run())\n"
    )
    made = subprocess.run(
        [sys.executable, program, "bench", shared_voice, "--peers", ",".join(PEERS), "--batch-sizes", "1,2",
         "--repeats", "1", "--threads", "1", "--json", tmp_path / "peers.json"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    figures = json.loads((tmp_path / "peers.json").read_text())
    systems = {(figure["system"], figure["precision"]) for figure in figures}
    assert {("ctranslate2", "int8"), ("transformers", "bfloat16")} < systems
    precision = Voice.load(shared_voice).model.decoder.backend.precision
    assert {("spear-accel auto", precision), ("spear-accel autoregressive", precision)} < systems
    assert all(figure["tokens_per_second"] > 0 for figure in figures)
    assert made.stdout.count("\n| spear-accel") == 4
