"""Which speech tokenizer keeps the words? Small mel decoders from the units of each, judged by a recogniser.

    python recipes/kathleen/compare_tokenizers.py --work WORK --tokenizers old=FOLDER new=FOLDER [--other MANIFEST]

For each tokenizer the voice's recordings are tokenized, a small mel decoder is trained on them for a few minutes
(`mel_decoder_quick.yaml`; units enter as the tokenizer's centroids), and test prompts are remade with the vocoder of
``--voice``. ``--other`` remakes recordings of another speaker too, such as a teacher's: does the voice say what was
tokenized there? Prints a line for each tokenizer and keeps everything in WORK/compare/NAME. The decoders are small and
trained alike: the figures order tokenizers, and are not what a voice reaches.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import recognisers
import soundfile
import torch
from evaluate import one_take
from listening import listen
from words import error_rate, interval, word_errors

from spear_accel import Voice
from spear_accel.acoustic import NeuralAcousticStage
from spear_accel.acoustic.mel_decoder import MelDecoder
from spear_accel.audio.encoder import SAMPLE_RATE
from spear_accel.audio.files import read_audio
from spear_accel.audio.tokenizer import CODEBOOK, SpeechTokenizer
from spear_accel.data import pairs
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.acoustic.train import load_mel_decoder, train
from spear_accel.training.loop.settings import read_settings

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="the recipe's working folder, after its step data")
    parser.add_argument("--tokenizers", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--voice", default="kathleen", help="whose vocoder is used")
    parser.add_argument("--other", type=Path, help="manifest of another speaker: id, audio, text")
    parser.add_argument("--count", type=int, default=50, help="utterances to judge of each speaker")
    parser.add_argument("--steps", type=int, default=1000, help="of each mel decoder")
    parser.add_argument("--recogniser", choices=recognisers.RECOGNISERS, default="moonshine")
    arguments = parser.parse_args()
    stage = Voice.load(arguments.voice).acoustic
    if not isinstance(stage, NeuralAcousticStage):
        parser.error(f"--voice {arguments.voice} has no neural vocoder")
    recognise = recognisers.load(arguments.recogniser)
    for given in arguments.tokenizers:
        name, _, folder = given.partition("=")
        row = _row(arguments, name, SpeechTokenizer.from_folder(folder), Path(folder), stage, recognise)
        print(json.dumps(row), flush=True)


def _row(
    arguments: argparse.Namespace,
    name: str,
    tokenizer: SpeechTokenizer,
    source: Path,
    stage: NeuralAcousticStage,
    recognise: recognisers.Recogniser,
) -> dict[str, Any]:
    """Every figure of one tokenizer."""
    folder = arguments.work / "compare" / name
    manifests = arguments.work / "manifests"
    held_out = one_take(read_manifest(manifests / "test.jsonl", ("id", "audio", "text")))[: arguments.count]
    records = [record for name in ("train", "validation") for record in read_manifest(manifests / f"{name}.jsonl")]
    pairs.tokenize_manifest(tokenizer, records, folder / "tokens.jsonl")
    tokens = [torch.tensor(record["tokens"]) for record in read_manifest(folder / "tokens.jsonl")]
    decoder = _decoder(arguments.work, folder, tokenizer, source, arguments.steps)
    row: dict[str, Any] = {"tokenizer": name, "units": tokenizer.config.units, **_entropies(tokens)}
    row["repeats"] = round(float(torch.cat([t[1:] == t[:-1] for t in tokens]).float().mean()), 3)
    row["frame_rate"] = tokenizer.config.frame_rate
    sets = {"own": held_out}
    if arguments.other:
        sets["other"] = read_manifest(arguments.other, ("id", "audio", "text"))[: arguments.count]
    for speaker, chosen in sets.items():
        errors = []
        for record in chosen:
            path = folder / speaker / f"{record['id']}.wav"
            if not path.exists():
                _remake(record, tokenizer, NeuralAcousticStage(decoder, stage.vocoder), path)
            errors.append(word_errors(record["text"], recognise(listen(path))))
        low, high = interval(errors)
        row[f"{speaker} WER"] = [round(value, 3) for value in (error_rate(errors), low, high)]
    return row


def _decoder(work: Path, folder: Path, tokenizer: SpeechTokenizer, source: Path, steps: int) -> MelDecoder:
    """The small mel decoder of a tokenizer, trained unless it is."""
    os.environ.update(WORK=str(work), CORPUS=str(work / "corpus"))
    settings = read_settings(HERE / "mel_decoder_quick.yaml", ("task", "model"))
    settings |= {"tokens": str(folder / "tokens.jsonl"), "output": str(folder), "centroids": str(source / CODEBOOK)}
    config = tokenizer.config
    settings["model"] |= {
        "units": config.units, "frame_rate": config.frame_rate, "centroid_width": tokenizer.quantiser.centroids.shape[1]
    }  # fmt: skip
    settings["loop"] |= {"steps": steps}
    train(settings)
    return load_mel_decoder(folder)


def _remake(record: dict[str, Any], tokenizer: SpeechTokenizer, stage: NeuralAcousticStage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tokens = tokenizer.tokenize([read_audio(record["audio"], SAMPLE_RATE)])[0]
    with torch.inference_mode():
        waveform, _ = stage(tokens[None], torch.tensor([len(tokens)]))
    soundfile.write(path, waveform[0].clamp(-1, 1).numpy(), stage.sample_rate)


def _entropies(tokens: Sequence[torch.Tensor]) -> dict[str, float]:
    """Nats of a token by itself, and given the token before it; how hard tokens are to predict, from below."""
    units = int(max(int(item.max()) for item in tokens)) + 1
    joined = torch.cat([item[1:] + units * item[:-1] for item in tokens])
    pair = torch.unique(joined, return_counts=True)[1] / len(joined)
    single = torch.unique(torch.cat([item[:-1] for item in tokens]), return_counts=True)[1] / len(joined)
    one, two = float(torch.special.entr(single).sum()), float(torch.special.entr(pair).sum())
    assert math.isfinite(two)
    return {"nats": round(one, 2), "nats given one": round(two - one, 2)}


if __name__ == "__main__":
    main()
