"""Judge a voice with an outside recogniser on sentences that no training step saw.

    python recipes/kathleen/evaluate.py --work WORK [--voice VOICE] [--sentences 100] [--json OUT]

Prints the character and word error rates of (a) the real held-out recordings, (b) their resynthesis from semantic
tokens, and (c) text to speech with the default options. Needs the extras ``fairseq2`` and ``eval``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from recogniser import character_error_rate, heard, word_error_rate
from tqdm import tqdm

from spear_accel import Voice
from spear_accel.audio.encoder import SAMPLE_RATE
from spear_accel.audio.files import read_audio
from spear_accel.data.corpus import prompt_of
from spear_accel.storage.json_lines import read_manifest
from spear_accel.voice.components import load_speech_tokenizer
from spear_accel.voice.folder import open_voice

Sound = tuple[np.ndarray, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="the recipe's working folder")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--manifest", type=Path, help="recordings to judge; WORK/manifests/test.jsonl if left out")
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--conditions", default="recording,resynthesis,speech")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    manifest = arguments.manifest or arguments.work / "manifests" / "test.jsonl"
    records = one_take(read_manifest(manifest, ("id", "audio", "text")))[: arguments.sentences]
    rows = [
        judge(name, records, makers(arguments.voice, arguments.seed)[name]) for name in arguments.conditions.split(",")
    ]
    for row in rows:
        print(f"{row['condition']:12s} CER {row['cer']:.3f}  WER {row['wer']:.3f}  ({row['sentences']} sentences)")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def one_take(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first recording of every prompt."""
    first: dict[str, dict[str, Any]] = {}
    for record in records:
        first.setdefault(prompt_of(record["id"]), record)
    return list(first.values())


def makers(name: str, seed: int) -> dict[str, Callable[[list[dict[str, Any]]], list[Sound]]]:
    """How each condition turns records into sound."""

    def recording(records: list[dict[str, Any]]) -> list[Sound]:
        return [(read_audio(record["audio"], SAMPLE_RATE).numpy(), SAMPLE_RATE) for record in records]

    def resynthesis(records: list[dict[str, Any]]) -> list[Sound]:
        voice, tokenizer = Voice.load(name), load_speech_tokenizer(open_voice(name))
        tokens = [tokenizer.tokenize([read_audio(r["audio"], SAMPLE_RATE)])[0] for r in tqdm(records, desc="tokens")]
        return [(np.asarray(voice.semantic_to_waveform(t)), voice.sample_rate) for t in tokens]

    def speech(records: list[dict[str, Any]]) -> list[Sound]:
        voice = Voice.load(name)
        spoken = [voice.speak(record["text"], seed=seed) for record in tqdm(records, desc="speech")]
        return [(np.asarray(item.waveform), item.sample_rate) for item in spoken]

    return {"recording": recording, "resynthesis": resynthesis, "speech": speech}


def judge(
    condition: str, records: list[dict[str, Any]], make: Callable[[list[dict[str, Any]]], list[Sound]]
) -> dict[str, Any]:
    """Error rates of one condition, with what was heard in every sentence."""
    texts = [record["text"] for record in records]
    said = heard(make(records), processes=os.cpu_count() or 1)
    return {
        "condition": condition, "sentences": len(records),
        "cer": round(character_error_rate(texts, said), 4), "wer": round(word_error_rate(texts, said), 4),
        "heard": [{"id": r["id"], "text": t, "heard": h} for r, t, h in zip(records, texts, said, strict=True)],
    }  # fmt: skip


if __name__ == "__main__":
    main()
