"""Second comparison of token sets: what an outside recogniser understands of recordings remade from them.

    python recipes/kathleen/compare_resynthesis.py --corpus CORPUS --work WORK --sets 3x1x512 4x1x512 4x2x512

A set is LAYERxPOOLxUNITS. For each one a codebook is fitted, a small mel decoder is trained for a few minutes
(`mel_decoder_quick.yaml`), and the validation recordings are remade with Griffin-Lim. Writes
``compare_resynthesis.json`` to the working folder.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
import units as unit_tools
from recognisers import heard
from words import character_error_rate, error_rate, word_errors

from spear_accel.acoustic.stage import GriffinLimStage
from spear_accel.audio.encoder import SAMPLE_RATE, SpeechEncoder
from spear_accel.audio.files import read_audio
from spear_accel.audio.kmeans import fit_codebook
from spear_accel.storage import files
from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.training.acoustic.train import load_mel_decoder, train
from spear_accel.training.loop.settings import read_settings
from spear_accel.training.speech_tokenizer import load_trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", required=True, metavar="LAYERxPOOLxUNITS")
    arguments = parser.parse_args()
    os.environ.update(WORK=str(arguments.work), CORPUS=str(arguments.corpus))
    held_out = read_manifest(arguments.work / "manifests" / "validation.jsonl", ("id", "audio", "text"))
    texts = [record["text"] for record in held_out]
    real = heard([(read_audio(r["audio"], SAMPLE_RATE).numpy(), SAMPLE_RATE) for r in held_out])
    rows = [_row("recordings", texts, real)]
    for name in arguments.sets:
        layer, pool, units = map(int, name.split("x"))
        rows.append(_row(name, texts, _remade(arguments.work, held_out, layer, pool, units)))
        print(json.dumps(rows[-1]), flush=True)
    files.write_text(arguments.work / "compare_resynthesis.json", json.dumps(rows, indent=1) + "\n")


def _row(name: str, texts: list[str], said: list[str]) -> dict[str, Any]:
    wer = error_rate([word_errors(text, one) for text, one in zip(texts, said, strict=True)])
    return {"set": name, "cer": round(character_error_rate(texts, said), 4), "wer": round(wer, 4)}


def _remade(work: Path, held_out: list[dict[str, Any]], layer: int, pool: int, units: int) -> list[str]:
    """What was heard in ``held_out`` remade from tokens of one set."""
    config, weights = load_trained(work / "encoder")
    encoder = SpeechEncoder.from_config(config, weights, layer)
    records = [*read_manifest(work / "manifests" / "train.jsonl"), *held_out]
    features = [item[layer] for item in unit_tools.features_of(encoder, records, (layer,), pool)]
    codebook = fit_codebook(torch.cat(features[: -len(held_out)]).float(), units)
    tokens = unit_tools.codes(features, codebook)
    folder = work / "compare" / f"{layer}x{pool}x{units}"
    found = ({"id": r["id"], "tokens": t.tolist()} for r, t in zip(records, tokens, strict=True))
    write_manifest(folder / "tokens.jsonl", found)
    settings = read_settings(Path(__file__).with_name("mel_decoder_quick.yaml"), ("task", "model"))
    settings |= {"tokens": str(folder / "tokens.jsonl"), "output": str(folder)}
    settings["model"] |= {"units": units, "frame_rate": encoder.frame_rate // pool}
    train(settings)
    stage = GriffinLimStage(load_mel_decoder(folder))
    sounds = [stage(t[None], torch.tensor([len(t)]))[0][0].numpy() for t in tokens[-len(held_out) :]]
    return heard([(sound, stage.sample_rate) for sound in sounds])


if __name__ == "__main__":
    main()
