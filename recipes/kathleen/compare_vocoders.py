"""Neural vocoder against torchaudio's Griffin-Lim, both given the true log-mel of held-out recordings.

Measures wide-band PESQ at 16 kHz (package pesq; higher is better, 4.64 is identity) and the mean absolute log-mel
distance of what is heard to the recording (lower is better). Prints a table and writes JSON.

    python recipes/kathleen/compare_vocoders.py --corpus CORPUS --split WORK/split.json --training WORK/vocoder
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from pesq import NoUtterancesError, pesq
from torch import Tensor
from torchaudio.functional import resample

from spear_accel.acoustic import LogMel, NeuralAcousticStage, Vocoder
from spear_accel.acoustic.griffin_lim import GriffinLim
from spear_accel.storage import files
from spear_accel.training.acoustic.recordings import RecordingsConfig, load_recordings, split_recordings
from spear_accel.training.acoustic.spectral_losses import MultiResolutionDistance
from spear_accel.training.acoustic.train import load_vocoder

_PESQ_RATE = 16000


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="recordings in LJSpeech layout")
    parser.add_argument("--split", required=True, help="JSON with the held-out prefixes under test")
    parser.add_argument("--cache", default="build/acoustic", help="takes the decoded audio")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--acoustic", type=Path, help="acoustic folder of a voice")
    where.add_argument("--training", type=Path, help="training folder of a vocoder")
    parser.add_argument("--limit", type=int, default=40, help="number of recordings")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def vocoder_of(arguments: argparse.Namespace) -> Vocoder:
    if arguments.training:
        return load_vocoder(arguments.training)
    return NeuralAcousticStage.from_folder(arguments.acoustic).vocoder


def measure_pesq(real: Tensor, made: Tensor, sample_rate: int) -> float | None:
    """Wide-band PESQ of one clip; None where PESQ finds no speech in it."""
    reference, degraded = (resample(x, sample_rate, _PESQ_RATE).numpy() for x in (real, made))
    try:
        return float(pesq(_PESQ_RATE, reference, degraded, "wb"))
    except NoUtterancesError:
        return None


@torch.inference_mode()
def measure(
    clips: list[Tensor], front_end: LogMel, to_waveform: Callable[[Tensor], Tensor], distance: MultiResolutionDistance
) -> dict[str, float]:
    """Means over clips of [samples] each."""
    sample_rate = front_end.config.sample_rate
    scores, mels, scales, seconds = [], [], [], 0.0
    for real in clips:
        log_mel = front_end(real[None])
        started = time.perf_counter()
        made = to_waveform(log_mel)
        seconds += time.perf_counter() - started
        scores.append(measure_pesq(real, made[0], sample_rate))
        mels.append(float((front_end(made) - log_mel).abs().mean()))
        scales.append(float(distance(made, real[None])[0]))
    known = [score for score in scores if score is not None]
    return {
        "pesq_wb": sum(known) / len(known),
        "log_mel_distance": sum(mels) / len(mels),
        "multi_scale_mel_distance": sum(scales) / len(scales),
        "real_time_factor": seconds / sum(len(clip) / sample_rate for clip in clips),
    }


def main() -> None:
    arguments = parse()
    vocoder = vocoder_of(arguments)
    mel = vocoder.mel
    config = RecordingsConfig((arguments.corpus,), arguments.cache, arguments.split)
    held_out = split_recordings(load_recordings(config, mel.sample_rate), config.split)[2]
    chosen = held_out[:: max(1, len(held_out) // arguments.limit)][: arguments.limit]
    clips = [recording.read(0, recording.samples // mel.hop * mel.hop) for recording in chosen]
    distance = MultiResolutionDistance((512, 1024, 2048), mel.sample_rate)
    systems: dict[str, Callable[[Tensor], Tensor]] = {"griffin-lim": GriffinLim(mel), "neural": vocoder}
    results = {name: measure(clips, LogMel(mel), system, distance) for name, system in systems.items()}
    print(f"{len(clips)} held-out recordings, true log-mel in")
    print(f"{'system':<12} {'PESQ-WB':>8} {'log-mel':>8} {'scales':>8} {'RTF':>8}")
    for name, row in results.items():
        print(f"{name:<12}" + "".join(f" {value:>8.3f}" for value in row.values()))
    if arguments.json:
        files.write_text(
            arguments.json, json.dumps({"clips": [r.name for r in chosen], "systems": results}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
