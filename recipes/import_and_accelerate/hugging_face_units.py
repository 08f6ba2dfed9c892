"""A T5 that writes a voice's speech tokens, trained by transformers itself -> imported -> accelerated -> compared.

    python recipes/import_and_accelerate/hugging_face_units.py LINES.txt --output WORK [--teacher kathleen]
        [--train-minutes 30] [--minutes 50] [--small]

The teacher reads the lines (WORK/pairs.jsonl), transformers trains a model of T5-small's shape on the pairs
(WORK/theirs), `import hugging-face` and `accelerate` make a voice of it (WORK/voice), and WORK/report.json says whether
all tokens are the same and how fast each way is. Every step is left out where its result is there already.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from import_and_accelerate import do
from torch import Tensor

from spear_accel import DecodeOptions, Voice
from spear_accel.decoding.reference import ends_in_loop
from spear_accel.decoding.stopping import LoopCriterion
from spear_accel.text.tokenizer import TextTokenizer

_COMPARED, _BATCH, _HELD_BACK = 32, 32, 64
_PAD, _EOS = 0, 1
SMALL = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4}
"""A shape for trying out; the default is T5-small's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path, help="sentences, one a line")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--teacher", default="kathleen", help="voice that reads the lines")
    parser.add_argument("--train-minutes", type=float, default=30.0)
    parser.add_argument("--minutes", type=float, default=50.0, help="for accelerate")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    shape = SMALL if arguments.small else {}
    print(json.dumps(whole(
        arguments.text, arguments.output, arguments.teacher, arguments.train_minutes, arguments.minutes, shape
    ), indent=2))  # fmt: skip


def whole(
    text: Path, output: Path, teacher: str, train_minutes: float, minutes: float, shape: dict[str, int], *more: str
) -> dict[str, Any]:
    """All steps; returns the report. more: options of `accelerate`."""
    output.mkdir(parents=True, exist_ok=True)
    pairs = pairs_of(text, output / "pairs.jsonl", teacher)
    # What the teacher reads aloud is what the new model is asked to say.
    (output / "lines.txt").write_text("\n".join(pair["text"] for pair in pairs) + "\n", encoding="utf-8")
    if not (output / "theirs" / "config.json").exists():
        train(pairs, output / "theirs", Voice.load(teacher), train_minutes, shape)
    if not (output / "voice" / "voice.json").exists():
        do("import", "hugging-face", str(output / "theirs"), "-o", str(output / "voice"))
    do("accelerate", str(output / "voice"), "--text", str(output / "lines.txt"), "--minutes", str(minutes), *more)
    report = compare(output / "voice", output / "theirs", [pair["text"] for pair in pairs[-_HELD_BACK:]])
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def pairs_of(text: Path, path: Path, teacher: str) -> list[dict[str, Any]]:
    """Each line as the teacher reads it aloud, its text ids and its tokens."""
    if not path.exists():
        voice = Voice.load(teacher)
        lines = [line for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
        spoken = [one.text for line in lines for one in voice.plan(line)]
        tokens = voice.text_to_semantic(spoken, voice.defaults).tokens
        records = [
            {"text": said, "text_ids": voice.tokenizer.encode(said), "tokens": row.tolist()}
            for said, row in zip(spoken, tokens, strict=True)
        ]
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def train(pairs: list[dict[str, Any]], folder: Path, teacher: Voice, minutes: float, shape: dict[str, int]) -> None:
    """A T5 whose ids are pad, EOS, then the tokenizer's and the teacher's tokens; by plain transformers."""
    import transformers

    package: Any = transformers
    assert isinstance(teacher.tokenizer, TextTokenizer), "the teacher must read by SentencePiece"
    letters, units = teacher.tokenizer.vocab_size, teacher.model.config.semantic_units
    # The pad of both is 0; the tokenizer's unknown, 1, is EOS here: normalised texts hold no unknown.
    config = package.T5Config(
        vocab_size=letters + units, decoder_start_token_id=_PAD, pad_token_id=_PAD, eos_token_id=_EOS,
        dropout_rate=0.05, **shape,
    )  # fmt: skip
    torch.manual_seed(0)
    model = package.T5ForConditionalGeneration(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    started, losses = time.monotonic(), []
    for step, batch in enumerate(batches(pairs[: -_HELD_BACK or None], letters)):
        done = (time.monotonic() - started) / (60 * minutes)
        if done >= 1.0:
            break
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 50) * (1.0 - done)
        loss = model(**batch).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    print(f"{len(losses)} steps, loss {losses[0]:.2f} to {sum(losses[-20:]) / len(losses[-20:]):.2f}")
    assert model.generation_config is not None
    model.generation_config.max_length = 1 + max(len(pair["tokens"]) for pair in pairs) + 50
    model.eval()  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    teacher.tokenizer.save(folder / "spiece.model")


def batches(pairs: list[dict[str, Any]], letters: int) -> Iterator[dict[str, Tensor]]:
    """Batches without end, of texts of like length."""
    order = sorted(pairs, key=lambda pair: len(pair["tokens"]))
    groups = [order[at : at + _BATCH] for at in range(0, len(order), _BATCH)]
    generator = torch.Generator().manual_seed(0)
    while True:
        for place in torch.randperm(len(groups), generator=generator).tolist():
            texts = padded([[*pair["text_ids"], _EOS] for pair in groups[place]], _PAD)
            labels = padded([[*(letters + unit for unit in pair["tokens"]), _EOS] for pair in groups[place]], -100)
            yield {"input_ids": texts, "attention_mask": (texts != _PAD).long(), "labels": labels}


def padded(rows: list[list[int]], fill: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])


def compare(folder: Path, theirs: Path, lines: list[str]) -> dict[str, Any]:
    """Whether `auto`, autoregressive decoding and `generate` say the same, and the seconds that each takes."""
    from transformers import T5ForConditionalGeneration

    voice, lines = Voice.load(folder, dtype="float32"), lines[:_COMPARED]
    report: dict[str, Any] = {"lines": len(lines), "dtype": "float32", "threads": torch.get_num_threads()}
    said: dict[str, list[list[int]]] = {}
    for size in (1, 8, 32):
        for method in ("autoregressive", "auto"):
            options = replace(voice.defaults, method=method, batch_size=size, temperature=0.0)
            tokens, seconds = timed(partial(in_batches, voice, lines, options))
            said[f"{method} {size}"] = tokens
            report[f"seconds {method} {size}"] = round(seconds, 3)
        report[f"ratio {size}"] = round(report[f"seconds autoregressive {size}"] / report[f"seconds auto {size}"], 2)
    model = T5ForConditionalGeneration.from_pretrained(theirs).eval()
    said["generate 8"], seconds = timed(partial(generated, model, voice, lines))
    report["seconds generate 8"] = round(seconds, 3)
    report["ratio to generate 8"] = round(seconds / report["seconds auto 8"], 2)
    report["same as autoregressive"] = all(said[f"auto {n}"] == said["autoregressive 1"] for n in (1, 8, 32))
    own, other = said["autoregressive 1"], said["generate 8"]
    report["lines as generate says them"] = sum(one == two for one, two in zip(own, other, strict=True))
    # Where the model repeats itself decoding stops here, and goes on there.
    report["the same up to a loop"] = sum(
        one != two and two[: len(one)] == one and ends_in_loop(one, LoopCriterion().span, LoopCriterion().period)
        for one, two in zip(own, other, strict=True)
    )
    return report


def in_batches(voice: Voice, lines: list[str], options: DecodeOptions) -> list[list[int]]:
    """Of as many lines as the options say at a time."""
    size = options.batch_size
    groups = [lines[at : at + size] for at in range(0, len(lines), size)]
    return [row.tolist() for group in groups for row in voice.text_to_semantic(group, options).tokens]


@torch.inference_mode()
def generated(model: Any, voice: Voice, lines: list[str]) -> list[list[int]]:
    """What `generate` says, eight lines at a time."""
    rows: list[list[int]] = []
    for at in range(0, len(lines), 8):
        texts = padded([voice.tokenizer.encode(line) for line in lines[at : at + 8]], _PAD)
        said = model.generate(input_ids=texts, attention_mask=(texts != _PAD).long(), do_sample=False)
        rows += [row[: row.index(_EOS)] if _EOS in row else row for row in said[:, 1:].tolist()]
    return rows


def timed(run: Callable[[], list[list[int]]]) -> tuple[list[list[int]], float]:
    """What `run` returns, and the seconds of its second run: the first learns and warms up."""
    run()
    started = time.perf_counter()
    found = run()
    return found, time.perf_counter() - started


if __name__ == "__main__":
    main()
