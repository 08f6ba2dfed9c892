"""Imported encoder-decoders of transformers against what that package itself computes, on random models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.importers import hugging_face
from spear_accel.model import TextToSemantic
from tests.importers.hugging_face import EOS, PAD, VARIANTS, VOCAB, build, save, texts

TOLERANCE = 1e-4
NEW = 40


@pytest.fixture(params=VARIANTS, scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TextToSemantic]:
    """A model of transformers, and the same imported."""
    theirs = build(request.param)
    folder = save(theirs, tmp_path_factory.mktemp("model"))
    return theirs, hugging_face.load_text_to_semantic(folder)


def padded(rows: list[list[int]], length: int) -> tuple[Tensor, Tensor]:
    """Ids and attention mask [B, length] as transformers takes them."""
    ids = torch.tensor([row + [PAD] * (length - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])


def generated(theirs: Any, rows: list[list[int]], **options: Any) -> list[list[int]]:
    """What `generate` says of a batch, without start and EOS."""
    ids, mask = padded(rows, max(map(len, rows)))
    said = theirs.generate(input_ids=ids, attention_mask=mask, num_beams=1, **options)[:, 1:].tolist()
    ends = theirs.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return [row[: next((place for place, token in enumerate(row) if token in ends), len(row))] for row in said]


@torch.inference_mode()
def test_logits(pair: tuple[Any, TextToSemantic]) -> None:
    theirs, ours = pair
    rows = texts()
    text = ours.pad_text(rows)
    ids, mask = padded(rows, text.shape[1])
    semantic = torch.randint(1, VOCAB, (len(rows), 60), generator=torch.Generator().manual_seed(4))
    start = torch.full((len(rows), 1), theirs.generation_config.decoder_start_token_id)
    wanted = theirs(input_ids=ids, attention_mask=mask, decoder_input_ids=torch.cat((start, semantic), dim=1)).logits
    assert wanted.std() > 0.5
    assert torch.allclose(ours(text, semantic), wanted, rtol=0.0, atol=TOLERANCE)


@pytest.mark.parametrize(("method", "batch_size"), [("autoregressive", 1), ("autoregressive", 8), ("ngram", 8)])
def test_greedy_tokens(pair: tuple[Any, TextToSemantic], method: str, batch_size: int) -> None:
    """Alone and in a padded batch, plain and with drafts."""
    from spear_accel.decoding.methods import Drafting

    theirs, ours = pair
    options = DecodeOptions(method=method, temperature=0.0, max_tokens=NEW, batch_size=batch_size)
    drafter, controller = Drafting().prepare(ours, method, options)
    found = Engine(ours, options, drafter=drafter, controller=controller).decode(texts()).tokens
    wanted = generated(theirs, texts(), max_new_tokens=NEW, do_sample=False)
    assert [row.tolist() for row in found] == wanted
    alone = [generated(theirs, [row], max_new_tokens=NEW, do_sample=False)[0] for row in texts()]
    assert alone == wanted


@pytest.mark.parametrize("verify", ["coupled", "rejection"])
@pytest.mark.parametrize("variant", ["t5", "bart"])
def test_samples_have_the_same_law(tmp_path: Path, variant: str, verify: str) -> None:
    """Two-sample test on the first two tokens: total variation of counts against that of two halves of theirs."""
    from spear_accel.decoding.methods import Drafting

    theirs = build(variant)
    ours = hugging_face.load_text_to_semantic(save(theirs, tmp_path))
    count, row = 2000, texts()[0]
    options = DecodeOptions(method="ngram", verify=verify, temperature=0.8, top_k=6, max_tokens=2, batch_size=64)
    drafter, controller = Drafting().prepare(ours, "ngram", options)
    engine = Engine(ours, options, drafter=drafter, controller=controller)
    found = engine.decode([row] * count, seeds=range(count)).tokens
    torch.manual_seed(0)
    wanted = generated(
        theirs, [row] * 2 * count, do_sample=True, temperature=0.8, top_k=6, top_p=1.0, max_new_tokens=2
    )  # fmt: skip
    first, second = wanted[:count], wanted[count:]
    noise = distance(first, second)
    assert distance([one.tolist() for one in found], wanted) < max(1.5 * noise, 0.08), noise


def distance(one: list[list[int]], other: list[list[int]]) -> float:
    """Total variation between the counts of two samples of up to two tokens."""
    counts = [torch.zeros(VOCAB + 1, VOCAB + 1) for _ in range(2)]
    for table, sample in zip(counts, (one, other), strict=True):
        for row in sample:
            first, second, *_ = [*row, VOCAB, VOCAB]
            table[first, second] += 1 / len(sample)
    return float((counts[0] - counts[1]).abs().sum() / 2)


def rules_about(said: list[list[int]]) -> dict[str, dict[str, Any]]:
    """Generation configs that change what a model would say, which is `said`."""
    first, often = said[0][0], max(said[1], key=said[1].count)
    other = next(token for token in range(3, VOCAB) if all(token not in row for row in said))
    late = {"eos_token_id": [EOS, often, first], "min_length": 12, "forced_eos_token_id": EOS, "max_length": 15}
    return {
        "forced": {"forced_bos_token_id": other, "forced_eos_token_id": EOS, "max_length": 13},
        "suppressed": {"suppress_tokens": [often, other], "begin_suppress_tokens": [first, *range(20, 25)]},
        "first": {"forced_bos_token_id": other, "begin_suppress_tokens": [first, often, *range(13, 25)]},
        "lengths": {"min_length": 9, "max_length": 15},
        "new": {"min_new_tokens": 9, "max_new_tokens": 15},
        "ends": {"eos_token_id": [EOS, often, said[0][5]], "min_length": 4},
        "ends-late": late,
        # Single tokens, pairs and a triple.
        "bad words": {"bad_words_ids": [[said[0][3]], said[1][:2], said[2][4:6], said[3][1:4]]},
        "pairs": {"bad_words_ids": [said[0][:2], said[1][:2], said[2][:2], said[3][1:4]]},
    }


NAMES = ("forced", "suppressed", "first", "lengths", "new", "ends", "ends-late", "bad words", "pairs")


@pytest.mark.parametrize("method", ["autoregressive", "ngram", "jacobi"])
@pytest.mark.parametrize("rule", NAMES)
@pytest.mark.parametrize("variant", ["t5", "marian"])
def test_rules_of_generation(tmp_path: Path, variant: str, rule: str, method: str) -> None:
    """What a generation config says holds in every method, as it does there."""
    from spear_accel.decoding.methods import Drafting

    theirs = build(variant, seed=5)
    plain = generated(theirs, texts(), max_new_tokens=NEW, do_sample=False)
    said = rules_about(plain)[rule]
    for name, value in said.items():
        setattr(theirs.generation_config, name, value)
    ours = hugging_face.load_text_to_semantic(save(theirs, tmp_path))
    unbounded = not {"max_length", "max_new_tokens"} & set(said)
    wanted = generated(theirs, texts(), do_sample=False, **({"max_length": NEW + 1} if unbounded else {}))
    assert wanted != plain
    options = DecodeOptions(method=method, temperature=0.0, max_tokens=NEW, batch_size=3)
    drafter, controller = Drafting().prepare(ours, method, options)
    found = Engine(ours, options, drafter=drafter, controller=controller).decode(texts()).tokens
    assert [row.tolist() for row in found] == wanted


SIZES: dict[str, dict[str, Any]] = {
    "t5-small": {},
    "bart-base": {
        "d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072,
        "encoder_attention_heads": 12, "decoder_attention_heads": 12,
    },
}  # fmt: skip
MEASURE = """
import sys, threading, time
from spear_accel.importers import ImportOptions, hugging_face, save_voice

def own():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["RssAnon"].split()[0]) * 1024

before, most, going = own(), 0, True

def watch():
    global most
    while going:
        most = max(most, own())
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
imported = hugging_face.load(sys.argv[1], ImportOptions(text_tokenizer="ids"))
save_voice(imported, sys.argv[2])
going = False
watcher.join()
sizes = [4 * parameter.numel() for parameter in imported.model.parameters()]
print(most - before, sum(sizes), max(sizes))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_real_sizes(tmp_path: Path, name: str) -> None:
    """Random weights in the shapes of T5-small and BART-base: greedy tokens, and the memory that importing takes."""
    import subprocess
    import sys

    from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    if name == "t5-small":
        theirs: Any = T5ForConditionalGeneration(T5Config(decoder_start_token_id=0)).eval()
    else:
        theirs = BartForConditionalGeneration(BartConfig(**SIZES[name])).eval()
    save(theirs, tmp_path / "theirs", max_shard_size="200MB")
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "theirs"), str(tmp_path / "voice")],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    most, size, largest = map(int, ran.stdout.split())
    assert most < size + largest, f"{most / 1e6:.0f} MB for a model of {size / 1e6:.0f}"
    ours = hugging_face.load_text_to_semantic(tmp_path / "theirs")
    rows = [[*range(5, 40), 1], [7, 8, 1], [*range(1000, 1100), 1]]
    options = DecodeOptions(method="autoregressive", temperature=0.0, max_tokens=24, batch_size=3)
    found = Engine(ours, options).decode(rows).tokens
    pad = theirs.config.pad_token_id
    ids = torch.tensor([row + [pad] * (101 - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (101 - len(row)) for row in rows])
    wanted = theirs.generate(input_ids=ids, attention_mask=mask, num_beams=1, do_sample=False, max_new_tokens=24)
    for own, said in zip(found, wanted[:, 1:].tolist(), strict=True):
        ends = said.index(theirs.config.eos_token_id) if theirs.config.eos_token_id in said else len(said)
        assert own.tolist() == said[:ends]
