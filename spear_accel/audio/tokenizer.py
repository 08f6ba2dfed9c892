"""Speech tokenizer: waveforms to semantic tokens, by an encoder layer and its quantiser.

Knows windows, frame rates and its folder. Does not know text, voices or the acoustic stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from einops import reduce
from torch import Tensor

from spear_accel.audio.encoder import SAMPLE_RATE, FbankEncoderConfig, SpeechEncoder
from spear_accel.audio.kmeans import Codebook
from spear_accel.audio.scalar_quantiser import ScalarQuantiser
from spear_accel.checks import check_fields
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.weights import CONFIG, read_tensors, write_tensors

__all__ = ["Quantiser", "SpeechTokenizer", "SpeechTokenizerConfig", "collapse", "pooled_features"]

CODEBOOK, ENCODER = "codebook.safetensors", "encoder.safetensors"
WINDOW_SECONDS = 20
"""Longer recordings run in windows of this length, so that memory is bounded."""
CONTEXT_SECONDS = 1
"""Audio on either side of a window that its edge frames may hear."""


@dataclass(frozen=True)
class SpeechTokenizerConfig:
    """Which encoder, which of its layers, and how its frames become tokens."""

    layer: int
    """Encoder layer whose features are clustered, counted from 1."""
    units: int
    frame_rate: int
    """Semantic tokens per second, before repeats are collapsed."""
    pool: int = 1
    """Encoder frames averaged to one token frame."""
    collapse_repeats: bool = False
    """Whether runs of one token become a single one, as in SPEAR-TTS."""
    card: str | None = None
    """Name of the encoder's fairseq2 asset card; the encoder lies in the folder when there is none."""
    encoder: dict[str, Any] | None = None
    """Fields of `FbankEncoderConfig`, for an encoder that lies in the folder."""
    levels: list[int] | None = None
    """Levels of finite scalar quantisation (`ScalarQuantiser`); None: k-means centroids."""


class Quantiser(Protocol):
    """Feature vectors to units."""

    @property
    def centroids(self) -> Tensor:
        """A vector for each unit [units, W]."""

    def nearest(self, features: Tensor) -> Tensor:
        """Unit of each feature vector: [frames, D] -> int64 [frames]."""

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold to make the quantiser again."""


class SpeechTokenizer:
    """Waveforms to semantic tokens."""

    def __init__(self, config: SpeechTokenizerConfig, encoder: SpeechEncoder, quantiser: Quantiser) -> None:
        if encoder.frame_rate != config.frame_rate * config.pool:
            raise UserError(
                f"frame_rate {config.frame_rate} x pool {config.pool} is not the encoder's rate of {encoder.frame_rate}"
            )
        if len(quantiser.centroids) != config.units:
            raise UserError(f"units {config.units}: the quantiser has {len(quantiser.centroids)}")
        self.config, self.encoder, self.quantiser = config, encoder, quantiser

    @classmethod
    def from_folder(cls, folder: Path | str) -> SpeechTokenizer:
        """Load `config.json`, `codebook.safetensors` and, where no card is named, `encoder.safetensors`.

        Raises:
            UserError: A file is missing or damaged, or fairseq2 is not installed.
        """
        folder = Path(folder)
        config = _read_config(folder / CONFIG)
        return cls(config, _load_encoder(config, folder), _load_quantiser(config, folder))

    def save(self, folder: Path | str, encoder_weights: dict[str, Tensor] | None = None) -> None:
        """Write the folder; `encoder_weights` (stored in half precision) for an encoder without a card."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / CODEBOOK, self.quantiser.tensors(), half=False)
        if encoder_weights is not None:
            write_tensors(folder / ENCODER, encoder_weights, half=True)
        files.write_json(folder / CONFIG, asdict(self.config))

    def tokenize(self, waveforms: Sequence[Tensor]) -> list[Tensor]:
        """Semantic tokens of each waveform.

        Every waveform is encoded alone: on a padded batch the last bits of a feature would depend on its batch mates,
        and a frame halfway between two centroids could flip.

        Args:
            waveforms: Mono float32 [samples] at 16 kHz.

        Returns:
            int64 [ceil(samples * frame_rate / 16000)] each, fewer where repeats are collapsed.

        Raises:
            UserError: A waveform has no samples.
        """
        return [self._tokenize(waveform) for waveform in waveforms]

    def _tokenize(self, waveform: Tensor) -> Tensor:
        if waveform.numel() == 0:
            raise UserError("a waveform without samples has no tokens; leave it out")
        pieces = pooled_features(self.encoder, waveform, (self.config.layer,), self.config.pool)
        tokens = self.quantiser.nearest(pieces[self.config.layer])
        return collapse(tokens) if self.config.collapse_repeats else tokens


def pooled_features(encoder: SpeechEncoder, waveform: Tensor, layers: Sequence[int], pool: int) -> dict[int, Tensor]:
    """Features of a waveform of any length, `pool` encoder frames averaged to one.

    Args:
        encoder: The encoder.
        waveform: Mono float32 [samples] at 16 kHz.
        layers: Layers wanted, counted from 1.
        pool: Frames to average.

    Returns:
        A dict from layer to [ceil(samples * frame_rate / pool / 16000), D].
    """
    hop = SAMPLE_RATE * pool // encoder.frame_rate
    missing = -len(waveform) % hop
    whole = torch.nn.functional.pad(waveform.view(1, -1), (0, missing), mode=_padding(waveform, missing)).view(-1)
    parts: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    for piece, skip, keep in _windows(whole, hop):
        for layer, features in encoder([piece], layers)[0].items():
            pooled = reduce(features, "(t p) d -> t d", "mean", p=pool)
            parts[layer].append(pooled[skip : skip + keep])
    return {layer: torch.cat(found) for layer, found in parts.items()}


def collapse(tokens: Tensor) -> Tensor:
    """Drop every token that equals the one before it: [n] -> [m], m <= n."""
    collapsed: Tensor = torch.unique_consecutive(tokens)
    return collapsed


def _windows(waveform: Tensor, hop: int) -> Iterator[tuple[Tensor, int, int]]:
    """Cut `waveform`, whole hops long, into `(samples with context, frames to skip, frames to keep)`."""
    window, context = WINDOW_SECONDS * SAMPLE_RATE // hop * hop, CONTEXT_SECONDS * SAMPLE_RATE // hop * hop
    for start in range(0, len(waveform), window):
        end = min(start + window, len(waveform))
        first = max(0, start - context)
        yield waveform[first : end + context], (start - first) // hop, (end - start) // hop


def _padding(waveform: Tensor, count: int) -> str:
    return "reflect" if len(waveform) > count else "constant"


def _load_encoder(config: SpeechTokenizerConfig, folder: Path) -> SpeechEncoder:
    if config.card is not None:
        return SpeechEncoder.from_card(config.card, last_layer=config.layer)
    if config.encoder is None:
        raise UserError(f"{folder / 'config.json'}: names neither an encoder nor a card; restore the file")
    weights = read_tensors(folder / ENCODER)
    return SpeechEncoder.from_config(FbankEncoderConfig(**config.encoder), weights, last_layer=config.layer)


def _load_quantiser(config: SpeechTokenizerConfig, folder: Path) -> Quantiser:
    tensors = read_tensors(folder / CODEBOOK)
    try:
        if config.levels is None:
            return Codebook(tensors["mean"], tensors["scale"], tensors["centroids"])
        return ScalarQuantiser(tuple(config.levels), tensors["weight"], tensors["bias"], tensors["centroids"])
    except KeyError as error:
        raise UserError(f"{folder / CODEBOOK}: lacks {error}; restore the file") from error


def _read_config(path: Path) -> SpeechTokenizerConfig:
    if not path.is_file():
        raise UserError(f"{path}: no such file; this voice has no speech tokenizer")
    try:
        values = files.read_json(path)
        check_fields(SpeechTokenizerConfig, values, str(path))
        return SpeechTokenizerConfig(**values)
    except TypeError as error:
        raise UserError(f"{path}: not a speech tokenizer's configuration ({error})") from error
