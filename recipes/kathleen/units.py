"""A first comparison of token sets: features and codebooks of the speech encoder, and what they explain.

The comparison asks how much of the sound a token set determines: the share of the log-mel variance of unseen
recordings that a linear map of five neighbouring tokens explains. Finalists then go through real resynthesis
(`compare_units.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from spear_accel.acoustic.mel import LogMel, LogMelConfig
from spear_accel.audio.files import read_audio
from spear_accel.audio.kmeans import Codebook
from spear_accel.data.features import features_of

__all__ = ["codes", "features_of", "log_mels", "mel_explained"]

_NEIGHBOURS = 2


def log_mels(records: Iterable[Mapping[str, Any]], config: LogMelConfig) -> list[Tensor]:
    """Log-mel of each recording: [frames, bins]."""
    front_end = LogMel(config)
    return [front_end(read_audio(r["audio"], config.sample_rate).unsqueeze(0))[0] for r in records]


def mel_explained(tokens: Sequence[Tensor], mels: Sequence[Tensor], vocabulary: int, held_out: int) -> float:
    """Share of the log-mel variance of the last ``held_out`` recordings that tokens explain linearly.

    A ridge regression from the one-hot codes of a token and its two neighbours on either side to the mel frames
    under it, fitted on all other recordings.

    Args:
        tokens: int64 [n_i] of each recording.
        mels: [frames_i, bins] of each recording; a whole number of frames lies under a token.
        vocabulary: Size of the codebook.
        held_out: Recordings at the end of the lists to measure on.
    """
    per_token = round(sum(map(len, mels)) / sum(map(len, tokens)))
    inputs, outputs = zip(
        *(_aligned(t, m, vocabulary, per_token) for t, m in zip(tokens, mels, strict=True)), strict=True
    )
    width = vocabulary * (2 * _NEIGHBOURS + 1)
    gram, cross = torch.zeros(width, width), torch.zeros(width, per_token * mels[0].shape[1])
    for index, output in zip(inputs[:-held_out], outputs[:-held_out], strict=True):
        hot = torch.zeros(len(index), width).scatter_(1, index, 1.0)
        gram += hot.T @ hot
        cross += hot.T @ output
    weights = torch.linalg.solve(gram + 3.0 * torch.eye(width), cross)
    index, output = torch.cat(inputs[-held_out:]), torch.cat(outputs[-held_out:])
    error = (weights[index].sum(dim=1) - output).square().sum()
    return 1.0 - float(error / (output - output.mean(dim=0)).square().sum())


def _aligned(tokens: Tensor, mel: Tensor, vocabulary: int, per_token: int) -> tuple[Tensor, Tensor]:
    """Codes of each token and its neighbours [n, 5] beside the mel frames under it [n, per_token * bins]."""
    count = min(len(tokens), len(mel) // per_token)
    padded = torch.nn.functional.pad(tokens[:count].view(1, 1, -1).float(), (_NEIGHBOURS,) * 2, mode="replicate")
    codes = padded.view(-1).long().unfold(0, 2 * _NEIGHBOURS + 1, 1)
    return codes + vocabulary * torch.arange(codes.shape[1]), mel[: count * per_token].reshape(count, -1)


def codes(features: Sequence[Tensor], codebook: Codebook) -> list[Tensor]:
    """Tokens of features that are at hand already."""
    return [codebook.nearest(item.float()) for item in features]
