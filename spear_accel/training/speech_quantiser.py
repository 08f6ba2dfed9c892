"""Trains a speech tokenizer around its own quantiser: encoder, finite scalar quantisation, CTC and sound above it.

Layers of the Conformer below the quantiser become the tokenizer's encoder; those above it spell the phonemes of what
is left (CTC), and a small stack remakes the spectral envelope, told who speaks. So a unit keeps what tells words and
sounds apart, and need not keep the voice: the supervised tokens of CosyVoice (Du et al. 2024, arXiv 2407.05407) with
finite scalar quantisation (CosyVoice 2, arXiv 2412.10117), and with sound beside the words, because a mel decoder
shall speak from the units alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn
from torchaudio.functional import create_dct

from spear_accel.acoustic.convnext import ConvNeXtStack, frame_mask
from spear_accel.audio.encoder import FBANK_BINS, FbankEncoderConfig, SpeechEncoder, create_ctc_model
from spear_accel.audio.scalar_quantiser import (
    ScalarQuantiser,
    check_levels,
    codes_of,
    level_indices,
    rounded,
    unit_grid,
)
from spear_accel.audio.tokenizer import ENCODER, SpeechTokenizer, SpeechTokenizerConfig
from spear_accel.data.batching import batches_by_length
from spear_accel.errors import UserError
from spear_accel.storage.weights import CONFIG, read_config, read_tensors
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.losses import best_path, ctc_loss_per_symbol, symbol_errors
from spear_accel.training.loop.settings import AtLeastOne, NotNegative, Settings, Share, build, read_sections
from spear_accel.training.loop.trainer import load_modules, run
from spear_accel.training.speech_tokenizer import SpeechCtcData, SpeechCtcTask, encoder_weights, read_symbols

__all__ = ["QuantiserShape", "QuantiserTask", "QuantiserTraining", "SpeechQuantiser", "load_trained", "train"]

NAME = "quantiser"


@dataclass(frozen=True)
class QuantiserShape:
    """Where the quantiser sits, and the stack that remakes sound from its units."""

    levels: tuple[AtLeastOne, ...]
    """Levels of each number; their product is the number of units."""
    layer: AtLeastOne = 4
    """Encoder layer below the quantiser, counted from 1."""
    pool: AtLeastOne = 1
    """Encoder frames averaged to one token."""
    speakers: AtLeastOne = 1
    cepstra: AtLeastOne = 20
    """Coefficients of the envelope that is remade; few enough that the pitch does not show."""
    hidden: AtLeastOne = 576
    blocks: AtLeastOne = 4
    kernel: AtLeastOne = 7


@dataclass(frozen=True)
class QuantiserTraining:
    """The `training` section."""

    envelope_weight: NotNegative = 3.0
    """Weight of the envelope's loss beside that of CTC."""
    warp: Share = 0.1
    """Channels of the input are stretched by up to this share either way, as longer and shorter vocal tracts do
    (Jaitly and Hinton 2013); the envelope that is remade is not."""
    init_from: str | None = None
    """A speech tokenizer's folder whose encoder layers are the start."""


class SpeechQuantiser(nn.Module):
    """A recogniser with a quantiser in its middle, and the envelope remade from the units."""

    def __init__(self, encoder: FbankEncoderConfig, shape: QuantiserShape) -> None:
        super().__init__()
        check_levels(shape.levels)
        if shape.layer >= encoder.layers:
            raise UserError(
                f"layer {shape.layer}: the quantiser needs at least one of {encoder.layers} layers above it"
            )
        self.shape, self.stride = shape, encoder.stride
        self.ctc = create_ctc_model(encoder)
        recogniser: Any = self.ctc.recogniser
        self.project = nn.Linear(encoder.dim, len(shape.levels))
        self.expand = nn.Sequential(
            nn.Linear(len(shape.levels), encoder.dim), nn.GELU(), nn.Linear(encoder.dim, encoder.dim),
            nn.LayerNorm(encoder.dim),
        )  # fmt: skip
        self.speaker = nn.Embedding(shape.speakers, encoder.dim)
        self.stack = ConvNeXtStack(encoder.dim, shape.hidden, shape.blocks, shape.kernel)
        self.head = nn.Linear(encoder.dim, shape.pool * encoder.stride * shape.cepstra)
        self._units: Tensor = torch.empty(0)
        """Of the last pass: numbers before rounding [B, T, d] and vectors of the units [B, T, dim]."""
        self._vectors: Tensor = torch.empty(0)
        recogniser.encoder.layers[shape.layer - 1].register_forward_hook(self._quantise)

    def _quantise(self, layer: nn.Module, inputs: Any, hidden: Tensor) -> Tensor:
        """Replaces what the layer hands on, [B, T * pool, dim], by the vectors of its units."""
        pooled = reduce(hidden, "b (t p) d -> b t d", "mean", p=self.shape.pool)
        with torch.autocast(hidden.device.type, enabled=False):
            numbers = self.project(pooled.float())
            self._units = codes_of(level_indices(numbers.detach(), self.shape.levels), self.shape.levels)
            self._vectors = self.expand(rounded(numbers, self.shape.levels))
        return repeat(self._vectors, "b t d -> b (t p) d", p=self.shape.pool).to(hidden.dtype)

    def forward(self, features: Tensor, lengths: Tensor, speakers: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Spell and remake filterbanks from their units.

        Args:
            features: Filterbanks [B, frames, 80]; `frames` a multiple of stride times pool.
            lengths: Filterbank frames of each row [B], multiples of the same.
            speakers: int64 [B].

        Returns:
            CTC logits [B, encoder frames, symbols], their lengths [B], cepstra [B, frames, cepstra], and the units
            [B, tokens].
        """
        logits, encoder_lengths = self.ctc(features, lengths)
        mask = frame_mask(encoder_lengths // self.shape.pool, self._vectors.shape[1])
        told = (self._vectors + rearrange(self.speaker(speakers), "b d -> b 1 d")) * mask
        frames = self.shape.pool * self.stride
        cepstra = rearrange(self.head(self.stack(told, mask)), "b t (r c) -> b (t r) c", r=frames)
        return logits, encoder_lengths, cepstra, self._units

    def quantiser(self) -> ScalarQuantiser:
        """The part that tokens need."""
        centroids = self.expand(unit_grid(self.shape.levels))
        weight, bias = self.project.weight, self.project.bias
        return ScalarQuantiser(self.shape.levels, weight.detach(), bias.detach(), centroids.detach())


class QuantiserTask(SpeechCtcTask):
    """The `Task` of `spear_accel.training.loop.trainer` that trains a `SpeechQuantiser`."""

    def __init__(
        self,
        config: SpeechCtcData,
        encoder: FbankEncoderConfig,
        shape: QuantiserShape,
        training: QuantiserTraining,
        symbols: Sequence[str],
    ) -> None:
        """`symbols`: the CTC output classes; the first is the blank."""
        super().__init__(config, encoder, symbols, multiple=encoder.stride * shape.pool)
        self.shape, self.training = shape, training
        self.modules = {NAME: SpeechQuantiser(encoder, shape)}
        self.dct = create_dct(shape.cepstra, FBANK_BINS, norm="ortho")

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        heard = self.hidden_band(_warped(batch["features"], self.training.warp))
        ctc, envelope, _ = self._judge(modules[NAME](heard, batch["lengths"], batch["speakers"]), batch)
        loss = ctc + self.training.envelope_weight * envelope
        yield NAME, loss, {"ctc": float(ctc.detach()), "envelope": float(envelope.detach())}

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        found: list[list[int]] = []
        wanted: list[list[int]] = []
        totals, units = torch.zeros(2), []
        device = next(modules[NAME].parameters()).device
        batches = batches_by_length(self.held_out.lengths, 6000, number=0, seed=0)
        for indices in batches:
            examples = [self.held_out[i] for i in indices]
            batch = {key: value.to(device) for key, value in self.collate(examples).items()}
            made = modules[NAME](batch["features"], batch["lengths"], batch["speakers"])
            ctc, envelope, inside = self._judge(made, batch)
            totals += torch.stack([ctc, envelope]).cpu()
            found += best_path(made[0], made[1])
            wanted += [example[1].tolist() for example in examples]
            units.append(made[3][inside].cpu())
        counts = torch.bincount(torch.cat(units), minlength=check_levels(self.shape.levels)) / sum(map(len, units))
        ctc_loss, unexplained = (totals / len(batches)).tolist()
        return {
            "ctc": ctc_loss,
            "envelope": unexplained,
            "symbol_error_rate": symbol_errors(found, wanted),
            "unit_perplexity": float(torch.special.entr(counts).sum().exp()),
        }

    def _judge(self, made: tuple[Tensor, Tensor, Tensor, Tensor], batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """CTC loss in nats a symbol, share of the envelope's variance that is missed, and which units count [B, T]."""
        logits, lengths, cepstra, units = made
        ctc = ctc_loss_per_symbol(logits, lengths, batch["targets"], batch["target_lengths"])
        wanted = batch["features"] @ self.dct.to(cepstra.device)
        inside = frame_mask(batch["lengths"], wanted.shape[1])
        error = ((cepstra.float() - wanted).square() * inside).sum() / (wanted.square() * inside).sum()
        return ctc, error, frame_mask(lengths // self.shape.pool, units.shape[1])[..., 0].bool()


def _warped(features: Tensor, most: float) -> Tensor:
    """Stretch the channels of each row [B, frames, channels] by a factor of its own, up to `most` either way."""
    if most == 0:
        return features
    rows, _, channels = features.shape
    factor = 1 + most * (2 * torch.rand(rows, 1, device=features.device) - 1)
    place = (torch.arange(channels, device=features.device) * factor).clamp_max(channels - 1)
    low = place.long().clamp_max(channels - 2)
    share = rearrange(place - low, "b c -> b 1 c")
    frames = features.shape[1]
    index = repeat(low, "b c -> b f c", f=frames)
    return features.gather(2, index) * (1 - share) + features.gather(2, index + 1) * share


def load_trained(folder: Path) -> tuple[SpeechTokenizer, dict[str, Tensor]]:
    """The tokenizer of a training folder, and its encoder's weights, for `SpeechTokenizer.save`.

    Raises:
        UserError: The folder holds no finished checkpoint of this training.
    """
    weights = load_modules(folder)
    if NAME not in weights or not (folder / CONFIG).is_file():
        raise UserError(f"{folder} holds no speech quantiser; train one with: spear-accel train speech-quantiser")
    description = read_config(folder)
    encoder = build(FbankEncoderConfig, description["encoder"], f"{folder / CONFIG}: encoder")
    shape = build(QuantiserShape, description["shape"], f"{folder / CONFIG}: shape")
    module = SpeechQuantiser(encoder, shape)
    module.load_state_dict(weights[NAME])
    below = encoder_weights(module.ctc.state_dict(), shape.layer)
    own = SpeechEncoder.from_config(encoder, below, shape.layer)
    config = SpeechTokenizerConfig(
        layer=shape.layer, units=check_levels(shape.levels), frame_rate=own.frame_rate // shape.pool, pool=shape.pool,
        encoder=asdict(encoder), levels=list(shape.levels),
    )  # fmt: skip
    return SpeechTokenizer(config, own, module.quantiser()), below


def _start(module: SpeechQuantiser, folder: Path) -> None:
    """Take the encoder layers of a tokenizer's folder, as many as it has."""
    known = read_tensors(folder / ENCODER)
    own = module.ctc.state_dict()
    known = {key: value for key, value in known.items() if key in own}
    if wrong := [key for key, value in known.items() if own[key].shape != value.shape]:
        raise UserError(f"init_from: {folder / ENCODER} has other sizes than this configuration ({wrong[0]})")
    module.ctc.load_state_dict(known, strict=False)


def train(settings: Settings) -> dict[str, float]:
    """Trains from settings with the sections `data`, `model`, `quantiser` and `loop` and an `output` folder.

    Returns:
        The metrics of the last validation. The output folder holds the loop's files and config.json.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    given = read_sections(settings, ("data", "model", "quantiser"), ("training",))
    data, loop = given.build(SpeechCtcData, "data"), given.build(LoopConfig, "loop")
    training = given.build(QuantiserTraining, "training")
    symbols = read_symbols([source.manifest for source in data.sources])
    encoder = build(
        FbankEncoderConfig, {**(given.values["model"] or {}), "symbols": len(symbols)}, f"{given.place}, model"
    )
    shape = build(
        QuantiserShape,
        {**(given.values["quantiser"] or {}), "speakers": len(data.sources)},
        f"{given.place}, quantiser",
    )
    torch.manual_seed(loop.seed)
    task = QuantiserTask(data, encoder, shape, training, symbols)
    if training.init_from and not (given.output / "checkpoint").exists():
        _start(task.modules[NAME], Path(training.init_from))  # type: ignore[arg-type]
    return run(task, loop, given.output, {"encoder": asdict(encoder), "shape": asdict(shape)}, given.values)
