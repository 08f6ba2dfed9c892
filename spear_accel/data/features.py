"""From recordings to a speech tokenizer: features of an encoder, and a codebook that is fitted to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from spear_accel.audio.encoder import SAMPLE_RATE, SpeechEncoder
from spear_accel.audio.files import read_audio
from spear_accel.audio.kmeans import fit_codebook
from spear_accel.audio.tokenizer import SpeechTokenizer, SpeechTokenizerConfig, pooled_features

__all__ = ["features_of", "fit_speech_tokenizer"]

Record = Mapping[str, Any]
Progress = Callable[[Sequence[Record]], Iterable[Record]]


def features_of(
    encoder: SpeechEncoder, records: Sequence[Record], layers: Sequence[int], pool: int, progress: Progress = iter
) -> list[dict[int, Tensor]]:
    """Half-precision features of each record's recording, by layer: [frames, D].

    Args:
        encoder: The encoder.
        records: Records with the file under `audio`.
        layers: Layers wanted, counted from 1.
        pool: Encoder frames averaged to one.
        progress: Wraps the records, for a progress bar.
    """
    found = []
    for record in progress(records):
        features = pooled_features(encoder, read_audio(record["audio"], SAMPLE_RATE), layers, pool)
        found.append({layer: values.half() for layer, values in features.items()})
    return found


def fit_speech_tokenizer(
    config: SpeechTokenizerConfig,
    encoder: SpeechEncoder,
    records: Sequence[Record],
    most: int,
    progress: Progress = iter,
) -> SpeechTokenizer:
    """A speech tokenizer whose codebook is fitted by k-means to recordings.

    Args:
        config: Layer, number of tokens and frame rate.
        encoder: The encoder.
        records: Records with the file under `audio`.
        most: At most so many recordings are used, evenly spaced; more need more memory and change little.
        progress: Wraps the records, for a progress bar.

    Raises:
        UserError: Fewer frames than tokens, or scikit-learn is not installed.
    """
    chosen = records[:: max(1, -(-len(records) // most))]
    features = features_of(encoder, chosen, (config.layer,), config.pool, progress)
    joined = torch.cat([item[config.layer] for item in features]).float()
    return SpeechTokenizer(config, encoder, fit_codebook(joined, config.units, seed=0))
