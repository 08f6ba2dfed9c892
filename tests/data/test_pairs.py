"""Tokenized corpora: what a line holds, what is left out, and that a kill loses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from spear_accel.audio.kmeans import Codebook
from spear_accel.audio.tokenizer import SpeechTokenizerConfig
from spear_accel.data.pairs import (
    Feedback,
    TextReader,
    Variant,
    pair_manifest,
    phoneme_manifest,
    tokenize_manifest,
    tokenize_recording,
    train_text_tokenizer,
)
from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.text import TextTokenizer, TokenizerConfig, front_end_for
from spear_accel.text.raw import ByteTokenizer


class Counting:
    """A speech tokenizer with a token every 320 samples; counts what it was given."""

    def __init__(self, layer: int = 1) -> None:
        self.config = SpeechTokenizerConfig(layer=layer, units=4, frame_rate=50)
        self.quantiser = Codebook(torch.zeros(2), torch.ones(2), torch.zeros(4, 2))
        self.calls = 0

    def tokenize(self, waveforms: list[Tensor]) -> list[Tensor]:
        self.calls += 1
        return [torch.arange(len(waveform) // 320) % 4 for waveform in waveforms]


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    for number in range(4):
        soundfile.write(tmp_path / f"r{number}.wav", np.full(1600 * (number + 1), 0.1), 16_000)
    return [{"id": f"r{n}", "audio": str(tmp_path / f"r{n}.wav"), "text": f"Line {n}."} for n in range(4)]


def run(records: Sequence[dict[str, Any]], target: Path, tokenizer: Counting, **more: Any) -> tuple[int, list[str]]:
    said: list[str] = []
    feedback = Feedback(said.append, more.pop("progress", iter))
    left_out = tokenize_manifest(tokenizer, records, target, feedback=feedback, **more)  # type: ignore[arg-type]
    return left_out, said


def test_a_line_holds_what_training_reads(
    records: list[dict[str, Any]], tmp_path: Path, tiny_tokenizer: TextTokenizer
) -> None:
    target = tmp_path / "tokens.jsonl"
    assert run(records, target, Counting(), reader=TextReader(tiny_tokenizer)) == (0, [])
    first, *_, last = read_manifest(target)
    assert set(first) == {"id", "audio_filepath", "duration", "frame_rate", "tokens", "text", "text_ids"}
    assert (first["id"], first["duration"], first["frame_rate"], first["tokens"]) == ("r0", 0.1, 50, [0, 1, 2, 3, 0])
    assert tiny_tokenizer.decode(last["text_ids"]) == "line three."
    assert sorted(path.name for path in tmp_path.glob("tokens*")) == ["tokens.jsonl"]


def test_what_cannot_be_used_is_named_and_left_out(
    records: list[dict[str, Any]], tmp_path: Path, tiny_tokenizer: TextTokenizer
) -> None:
    Path(records[1]["audio"]).write_bytes(b"not audio")
    Path(records[2]["audio"]).unlink()
    records[3]["text"] = "&& ..."
    left_out, said = run(records, tmp_path / "t.jsonl", Counting(), reader=TextReader(tiny_tokenizer))
    assert left_out == 3 and [record["id"] for record in read_manifest(tmp_path / "t.jsonl")] == ["r0"]
    assert "r1.wav: not an audio" in said[0] and "r2.wav: no such file" in said[1] and "r3: nothing can" in said[2]


def test_a_corpus_of_which_nothing_can_be_used_leaves_nothing(records: list[dict[str, Any]], tmp_path: Path) -> None:
    Path(records[0]["audio"]).write_bytes(b"not audio")
    with pytest.raises(UserError, match=r"none of the 1 recordings could be used; .*r0\.wav"):
        run(records[:1], tmp_path / "t.jsonl", Counting())
    assert not (tmp_path / "t.jsonl").exists()


def test_after_a_kill_only_what_is_left_is_tokenized(records: list[dict[str, Any]], tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def killed_at_the_third(left: Sequence[Any]) -> Iterable[Any]:
        for number, record in enumerate(left):
            if number == 2:
                raise Killed
            yield record

    target, whole = tmp_path / "t.jsonl", tmp_path / "whole.jsonl"
    run(records, whole, Counting())
    with pytest.raises(Killed):
        run(records, target, Counting(), progress=killed_at_the_third)
    assert not target.exists()
    with (tmp_path / "t.jsonl.progress").open("ab") as journal:
        journal.write(b'{"id": "cut sho')
    tokenizer = Counting()
    assert run(records, target, tokenizer) == (0, [])
    assert tokenizer.calls == 2
    assert target.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("change", ["tokenizer", "variant", "recording"])
def test_another_job_does_not_go_on_with_the_tokens_of_an_earlier_one(
    records: list[dict[str, Any]], tmp_path: Path, change: str
) -> None:
    def killed(left: Sequence[Any]) -> Iterable[Any]:
        yield left[0]
        raise KeyboardInterrupt

    target = tmp_path / "t.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(records, target, Counting(), progress=killed)
    again = Counting(layer=2 if change == "tokenizer" else 1)
    if change == "recording":
        records[0] = {**records[0], "audio": records[3]["audio"]}
    run(records, target, again, variant=Variant(speed=2.0) if change == "variant" else Variant())
    assert again.calls == 4


def test_variants_are_shorter_takes_of_the_same_words(records: list[dict[str, Any]]) -> None:
    path = records[3]["audio"]
    as_is, fast, later = (
        tokenize_recording(Counting(), path, "x", variant)  # type: ignore[arg-type]
        for variant in (Variant(), Variant(speed=2.0), Variant(later=0.1))
    )
    assert (as_is["duration"], fast["duration"], later["duration"]) == (0.4, 0.2, 0.3)
    with pytest.raises(UserError, match="shorter than the 9"):
        tokenize_recording(Counting(), path, "x", Variant(later=9.0))  # type: ignore[arg-type]


def test_pairs_are_normalised_text_and_tokens(tmp_path: Path) -> None:
    lines = [{"id": "a", "text": "Dr. Who, 2 cats", "tokens": [1, 2]}, {"id": "b", "text": "...", "tokens": [1]}]
    write_manifest(tmp_path / "m.jsonl", lines)
    config = TokenizerConfig(kind="char", vocab_size=64)
    tokenizer = train_text_tokenizer([tmp_path / "m.jsonl"], tmp_path / "t.model", config)
    said: list[str] = []
    assert pair_manifest(TextReader(tokenizer), tmp_path / "m.jsonl", tmp_path / "p.jsonl", said.append) == 1
    (record,) = read_manifest(tmp_path / "p.jsonl")
    assert set(record) == {"id", "text_ids", "tokens"} and "b: nothing can be read aloud" in said[0]
    assert tokenizer.decode(record["text_ids"]) == "doctor who, two cats"
    assert TextTokenizer.load(tmp_path / "t.model").encode("a") == tokenizer.encode("a")


def test_phonemes_go_with_text_ids(tmp_path: Path, tiny_tokenizer: TextTokenizer) -> None:
    write_manifest(tmp_path / "m.jsonl", [{"id": "a", "text": "Two.", "phonemes": ["t", "u"]}])
    assert phoneme_manifest(TextReader(tiny_tokenizer), [tmp_path / "m.jsonl"] * 2, tmp_path / "p.jsonl") == 2
    assert read_manifest(tmp_path / "p.jsonl")[1] == {
        "id": "a", "text_ids": tiny_tokenizer.encode("two."), "phonemes": ["t", "u"],
    }  # fmt: skip


@pytest.mark.parametrize(("language", "read"), [("en", "seven"), ("en-GB", "seven"), ("pl", "7")])
def test_a_text_is_read_as_the_language_reads_it(tiny_tokenizer: TextTokenizer, language: str, read: str) -> None:
    front_end = front_end_for(language)
    assert TextReader(tiny_tokenizer, front_end).ids("7") == tiny_tokenizer.encode(read)
    assert TextReader(ByteTokenizer(), front_end).ids("7") == list(b"7")
