"""From the trained speech encoder to semantic tokens: features, codebooks, and a first comparison of token sets.

The comparison asks how much of the sound a token set determines: the share of the log-mel variance of unseen
recordings that a linear map of five neighbouring tokens explains. Finalists then go through real resynthesis
(`compare_units.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from spear_accel.acoustic.mel import LogMel, LogMelConfig
from spear_accel.audio.encoder import SAMPLE_RATE, FbankEncoderConfig, SpeechEncoder
from spear_accel.audio.files import read_audio, resample
from spear_accel.audio.kmeans import Codebook, fit_codebook
from spear_accel.audio.tokenizer import SpeechTokenizer, SpeechTokenizerConfig, pooled_features
from spear_accel.storage.json_lines import write_manifest

__all__ = ["features_of", "fit_tokenizer", "mel_explained", "tokenize_manifest"]

_NEIGHBOURS = 2


def features_of(
    encoder: SpeechEncoder, records: Iterable[Mapping[str, Any]], layers: Sequence[int], pool: int
) -> list[dict[int, Tensor]]:
    """Half-precision features of each record's recording, by layer: [frames, D]."""
    found = []
    for record in tqdm(list(records), desc="features", mininterval=5):
        waveform = read_audio(record["audio"], SAMPLE_RATE)
        features = pooled_features(encoder, waveform, layers, pool)
        found.append({layer: values.half() for layer, values in features.items()})
    return found


def fit_tokenizer(
    config: SpeechTokenizerConfig, weights: dict[str, Tensor], records: Sequence[Mapping[str, Any]], seed: int
) -> SpeechTokenizer:
    """A speech tokenizer whose codebook is fitted to the recordings of ``records``."""
    encoder = SpeechEncoder.from_config(FbankEncoderConfig(**(config.encoder or {})), weights, config.layer)
    features = features_of(encoder, records, (config.layer,), config.pool)
    joined = torch.cat([item[config.layer] for item in features]).float()
    return SpeechTokenizer(config, encoder, fit_codebook(joined, config.units, seed=seed))


def tokenize_manifest(
    tokenizer: SpeechTokenizer,
    records: Sequence[Mapping[str, Any]],
    target: Path,
    *,
    speed: float = 1.0,
    later: float = 0.0,
) -> int:
    """Write ``{"id", "text", "tokens"}`` for every recording of ``records``.

    Recordings that are played a little faster, or cut to begin ``later`` seconds later, give other tokens for the same
    words: more to learn from where recordings are few.
    """

    def tokens() -> Iterator[dict[str, Any]]:
        for record in tqdm(records, desc=target.stem, mininterval=5):
            waveform = resample(read_audio(record["audio"], SAMPLE_RATE), round(1000 * speed), 1000)
            found = tokenizer.tokenize([waveform[round(later * SAMPLE_RATE) :]])[0]
            yield {"id": record["id"], "text": record["text"], "tokens": found.tolist()}

    return write_manifest(target, tokens())


def log_mels(records: Iterable[Mapping[str, Any]], config: LogMelConfig) -> list[Tensor]:
    """Log-mel of each recording: [frames, bins]."""
    front_end = LogMel(config)
    return [front_end(read_audio(r["audio"], config.sample_rate).unsqueeze(0))[0] for r in records]


def mel_explained(tokens: Sequence[Tensor], mels: Sequence[Tensor], units: int, held_out: int) -> float:
    """Share of the log-mel variance of the last ``held_out`` recordings that tokens explain linearly.

    A ridge regression from the one-hot codes of a token and its two neighbours on either side to the mel frames
    under it, fitted on all other recordings.

    Args:
        tokens: int64 [n_i] of each recording.
        mels: [frames_i, bins] of each recording; a whole number of frames lies under a token.
        units: Size of the codebook.
        held_out: Recordings at the end of the lists to measure on.
    """
    per_token = round(sum(map(len, mels)) / sum(map(len, tokens)))
    inputs, outputs = zip(*(_aligned(t, m, units, per_token) for t, m in zip(tokens, mels, strict=True)), strict=True)
    width = units * (2 * _NEIGHBOURS + 1)
    gram, cross = torch.zeros(width, width), torch.zeros(width, per_token * mels[0].shape[1])
    for index, output in zip(inputs[:-held_out], outputs[:-held_out], strict=True):
        hot = torch.zeros(len(index), width).scatter_(1, index, 1.0)
        gram += hot.T @ hot
        cross += hot.T @ output
    weights = torch.linalg.solve(gram + 3.0 * torch.eye(width), cross)
    index, output = torch.cat(inputs[-held_out:]), torch.cat(outputs[-held_out:])
    error = (weights[index].sum(dim=1) - output).square().sum()
    return 1.0 - float(error / (output - output.mean(dim=0)).square().sum())


def _aligned(tokens: Tensor, mel: Tensor, units: int, per_token: int) -> tuple[Tensor, Tensor]:
    """Codes of each token and its neighbours [n, 5] beside the mel frames under it [n, per_token * bins]."""
    count = min(len(tokens), len(mel) // per_token)
    padded = torch.nn.functional.pad(tokens[:count].view(1, 1, -1).float(), (_NEIGHBOURS,) * 2, mode="replicate")
    codes = padded.view(-1).long().unfold(0, 2 * _NEIGHBOURS + 1, 1)
    return codes + units * torch.arange(codes.shape[1]), mel[: count * per_token].reshape(count, -1)


def codes(features: Sequence[Tensor], codebook: Codebook) -> list[Tensor]:
    """Tokens of features that are at hand already."""
    return [codebook.nearest(item.float()) for item in features]
