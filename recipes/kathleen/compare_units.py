"""First comparison of token sets: layers x frame rates x numbers of units, by the log-mel variance they explain.

    python recipes/kathleen/compare_units.py --work WORK

Reads the encoder and the manifests of the recipe's working folder and writes ``compare_units.json`` there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import units as unit_tools
from torch import Tensor

from spear_accel.acoustic.mel import LogMelConfig
from spear_accel.audio.encoder import FBANK_RATE, SpeechEncoder
from spear_accel.audio.kmeans import fit_codebook
from spear_accel.storage import files
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.speech_tokenizer import load_trained

FITTED = 400
MEASURED = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--units", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--pools", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    config, weights = load_trained(arguments.work / "encoder")
    encoder = SpeechEncoder.from_config(config, weights, config.layers)
    records = _records(arguments.work)
    mels = unit_tools.log_mels(records, LogMelConfig())
    rows = []
    for pool in arguments.pools:
        features = unit_tools.features_of(encoder, records, range(1, config.layers + 1), pool)
        for row in _compare(features, mels, arguments.units):
            rows.append({"frame_rate": FBANK_RATE // config.stride // pool, **row})
            print(json.dumps(rows[-1]), flush=True)
    files.write_text(arguments.work / "compare_units.json", json.dumps(rows, indent=1) + "\n")


def _records(work: Path) -> list[dict[str, Any]]:
    training = read_manifest(work / "manifests" / "train.jsonl")
    held_out = read_manifest(work / "manifests" / "validation.jsonl")
    return training[:: max(1, len(training) // FITTED)] + held_out[:MEASURED]


def _compare(features: list[dict[int, Tensor]], mels: list[Tensor], sizes: list[int]) -> Iterator[dict[str, float]]:
    for layer in features[0]:
        found = [item[layer] for item in features]
        joined = torch.cat(found[:-MEASURED]).float()
        for size in sizes:
            tokens = unit_tools.codes(found, fit_codebook(joined, size))
            repeats = torch.cat([t[1:] == t[:-1] for t in tokens]).float().mean()
            explained = unit_tools.mel_explained(tokens, mels, size, MEASURED)
            yield {"layer": layer, "units": size, "explained": round(explained, 4), "repeats": round(float(repeats), 3)}


if __name__ == "__main__":
    main()
