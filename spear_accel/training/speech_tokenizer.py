"""Trains the small speech encoder: CTC on phonemes or characters, from filterbanks.

The recogniser is only a means: a middle layer of its encoder, clustered, becomes the semantic tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from spear_accel.audio.encoder import FBANK_RATE, SAMPLE_RATE, FbankEncoderConfig, create_ctc_model, fbank
from spear_accel.audio.files import read_audio
from spear_accel.data.batching import batches_by_length
from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest
from spear_accel.storage.weights import CONFIG, read_config
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.losses import best_path, ctc_loss_per_symbol, symbol_errors
from spear_accel.training.loop.settings import NotNegativeInt, Positive, Settings, build, read_sections
from spear_accel.training.loop.trainer import load_modules, run

__all__ = [
    "SpeechCtcData",
    "SpeechCtcSource",
    "SpeechCtcTask",
    "encoder_weights",
    "load_trained",
    "read_symbols",
    "train",
]

BLANK = "<blank>"


@dataclass(frozen=True)
class SpeechCtcSource:
    """A manifest of recordings (`id`, `audio`, `phonemes`) and how many of them an epoch takes."""

    manifest: str
    per_epoch: NotNegativeInt = 0
    """Utterances drawn for an epoch; 0 takes each once."""


@dataclass(frozen=True)
class SpeechCtcData:
    """The `data` section of the recogniser's training."""

    sources: tuple[SpeechCtcSource, ...]
    validation: str
    """Manifest of recordings that training never sees."""
    batch_seconds: Positive = 80.0
    """Padded audio in a batch."""
    longest_seconds: Positive = 16.0
    """Longer recordings are left out."""
    frequency_mask: NotNegativeInt = 20
    """Widest band of filterbank channels that training hides (SpecAugment, arXiv 1904.08779); 0 hides none."""
    noise_db: tuple[float, float] | None = None
    """White noise in two of three training recordings, between these levels relative to their speech. Without it a
    network tells a synthesiser's digital silence from a room's."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise UserError("sources is empty; name at least one manifest")


class SpeechCtcTask:
    """The `Task` of `spear_accel.training.loop.trainer` that trains a `CtcModel`."""

    def __init__(
        self, config: SpeechCtcData, encoder: FbankEncoderConfig, symbols: Sequence[str], multiple: int | None = None
    ) -> None:
        """Read the manifests.

        Args:
            config: What to train on.
            encoder: Shape of the encoder.
            symbols: The CTC output classes; the first is the blank.
            multiple: Filterbanks are extended to a multiple of so many frames; the encoder's stride if left out.
        """
        multiple = multiple or encoder.stride
        self.config, self.encoder = config, encoder
        self.modules: dict[str, nn.Module] = {"encoder": create_ctc_model(encoder)}
        self._index = {symbol: index for index, symbol in enumerate(symbols)}
        self._groups: list[np.ndarray] = []
        records: list[dict[str, Any]] = []
        for number, source in enumerate(config.sources):
            found = read_manifest(source.manifest, ("id", "audio", "phonemes"))
            self._groups.append(np.arange(len(records), len(records) + len(found)))
            records += [{**record, "speaker": number} for record in found]
        self._training = _Recordings(records, self._index, multiple, config.noise_db)
        held_out = read_manifest(config.validation, ("id", "audio", "phonemes"))
        self.held_out = _Recordings(held_out, self._index, multiple)

    def dataset(self) -> Sequence[Any]:
        return self._training

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        generator = np.random.default_rng((seed, number, 1))
        lengths = self._training.lengths
        order = np.concatenate([
            _draw(generator, group[lengths[group] <= self.config.longest_seconds * FBANK_RATE], source.per_epoch)
            for group, source in zip(self._groups, self.config.sources, strict=True)
        ])  # fmt: skip
        most = int(self.config.batch_seconds * FBANK_RATE)
        return batches_by_length(lengths, most, number=number, seed=seed, order=order)

    def collate(self, examples: list[tuple[Tensor, Tensor, int]]) -> dict[str, Tensor]:
        features, targets, speakers = zip(*examples, strict=True)
        return {
            "features": nn.utils.rnn.pad_sequence(list(features), batch_first=True),
            "lengths": torch.tensor([len(item) for item in features]),
            "targets": torch.cat(targets),
            "target_lengths": torch.tensor([len(item) for item in targets]),
            "speakers": torch.tensor(speakers),
        }

    def hidden_band(self, features: Tensor) -> Tensor:
        """`features` as training hears them: a band of their channels is hidden."""
        return _mask_band(features, self.config.frequency_mask)

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        logits, lengths = modules["encoder"](self.hidden_band(batch["features"]), batch["lengths"])
        loss = ctc_loss_per_symbol(logits, lengths, batch["targets"], batch["target_lengths"])
        yield "encoder", loss, {"loss": float(loss.detach())}

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        found: list[list[int]] = []
        wanted: list[list[int]] = []
        loss, batches = 0.0, batches_by_length(self.held_out.lengths, 6000, number=0, seed=0)
        device = next(modules["encoder"].parameters()).device
        for indices in batches:
            examples = [self.held_out[i] for i in indices]
            batch = {key: value.to(device) for key, value in self.collate(examples).items()}
            logits, lengths = modules["encoder"](batch["features"], batch["lengths"])
            loss += float(ctc_loss_per_symbol(logits, lengths, batch["targets"], batch["target_lengths"]))
            found += best_path(logits, lengths)
            wanted += [example[1].tolist() for example in examples]
        return {"loss": loss / len(batches), "symbol_error_rate": symbol_errors(found, wanted)}


class _Recordings(Sequence[tuple[Tensor, Tensor, int]]):
    """Filterbanks, targets and speaker by index; filterbanks are computed once and kept in half precision."""

    def __init__(
        self,
        records: list[dict[str, Any]],
        index: dict[str, int],
        multiple: int,
        noise_db: tuple[float, float] | None = None,
    ) -> None:
        self._records, self._noise_db = records, noise_db
        self._cache: dict[int, Tensor] = {}
        self._targets = [torch.tensor([index[s] for s in r["phonemes"] if s in index]) for r in records]
        self.lengths = np.array([_fbank_frames(record, multiple) for record in records])

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, int]:  # type: ignore[override]
        if item not in self._cache:
            waveform = read_audio(self._records[item]["audio"], SAMPLE_RATE)
            if self._noise_db is not None:
                waveform = _with_noise(waveform, self._noise_db, item)
            self._cache[item] = fbank(waveform, frames=int(self.lengths[item])).half()
        return self._cache[item].float(), self._targets[item], int(self._records[item].get("speaker", 0))


def _with_noise(waveform: Tensor, noise_db: tuple[float, float], seed: int) -> Tensor:
    """White noise for two of three recordings, at a level that depends on `seed` alone."""
    chance = np.random.default_rng((seed, 2))
    if chance.random() < 1 / 3:
        return waveform
    level = 10 ** (chance.uniform(*noise_db) / 20) * float(waveform.square().mean().sqrt())
    return waveform + torch.from_numpy(level * chance.standard_normal(len(waveform))).float()


def _fbank_frames(record: dict[str, Any], multiple: int) -> int:
    """Filterbank frames of a recording, up to a multiple; from the file's header alone."""
    import soundfile

    header = soundfile.info(record["audio"])
    return -(-int(header.frames) * FBANK_RATE // (int(header.samplerate) * multiple)) * multiple


def encoder_weights(weights: Mapping[str, Tensor], layer: int) -> dict[str, Tensor]:
    """Those weights of a `CtcModel` that its encoder needs up to `layer`."""
    return {key: value for key, value in weights.items() if _in_encoder(key, layer)}


def _in_encoder(key: str, layer: int) -> bool:
    parts = key.removeprefix("recogniser.").split(".")
    if parts[:2] == ["encoder", "layers"]:
        return int(parts[2]) < layer
    return parts[0] in ("encoder_frontend", "encoder")


def _draw(generator: np.random.Generator, group: np.ndarray, count: int) -> np.ndarray:
    if count == 0:
        return group
    return generator.choice(group, size=min(count, len(group)), replace=False)


def _mask_band(features: Tensor, widest: int) -> Tensor:
    """Hide one random band of channels in each row; the mean of a normalised filterbank is 0."""
    if widest == 0:
        return features
    rows, _, channels = features.shape
    width = torch.randint(0, widest + 1, (rows, 1), device=features.device)
    start = (torch.rand(rows, 1, device=features.device) * (channels - width)).long()
    channel = torch.arange(channels, device=features.device)
    hidden = (channel >= start) & (channel < start + width)
    return features.masked_fill(rearrange(hidden, "b c -> b 1 c"), 0.0)


def read_symbols(manifests: Sequence[str], least: int = 20) -> tuple[str, ...]:
    """The symbols seen at least `least` times, after the blank; rarer ones are skipped in the targets."""
    counts: dict[str, int] = {}
    for manifest in manifests:
        for record in read_manifest(manifest, ("phonemes",)):
            for symbol in record["phonemes"]:
                counts[symbol] = counts.get(symbol, 0) + 1
    return (BLANK, *sorted(symbol for symbol, count in counts.items() if count >= least))


def load_trained(folder: Path) -> tuple[FbankEncoderConfig, dict[str, Tensor]]:
    """Shape and newest weights of the recogniser in a training folder.

    Raises:
        UserError: The folder holds no finished checkpoint of this training.
    """
    weights = load_modules(folder)
    path = folder / CONFIG
    if "encoder" not in weights or not path.is_file():
        raise UserError(f"{folder} holds no speech encoder; train one with: spear-accel train speech-tokenizer")
    return FbankEncoderConfig(**read_config(folder)), weights["encoder"]


def train(settings: Settings) -> dict[str, float]:
    """Trains from settings with the sections `data`, `model` and `loop` and an `output` folder.

    Returns:
        The metrics of the last validation. The output folder holds the loop's files and the encoder's config.json.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    given = read_sections(settings, ("data", "model"))
    data, loop = given.build(SpeechCtcData, "data"), given.build(LoopConfig, "loop")
    symbols = read_symbols([source.manifest for source in data.sources])
    shape = {**(given.values["model"] or {}), "symbols": len(symbols)}
    encoder = build(FbankEncoderConfig, shape, f"{given.place}, model")
    torch.manual_seed(loop.seed)
    return run(SpeechCtcTask(data, encoder, symbols), loop, given.output, asdict(encoder), given.values)
