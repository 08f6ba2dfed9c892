"""Trains a speech tokenizer around its own quantiser: an encoder, a quantiser in its middle, CTC and sound above it.

Layers of the Conformer below the quantiser become the tokenizer's encoder; those above it spell the phonemes of what
is left (CTC), and a small stack remakes the spectral envelope, told who speaks. So a unit keeps what tells words and
sounds apart, and need not keep the voice: the supervised tokens of CosyVoice (Du et al. 2024, arXiv 2407.05407; with
finite scalar quantisation arXiv 2412.10117), and with sound beside the words, because a mel decoder shall speak from
the units alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn
from torchaudio.functional import create_dct

from spear_accel.acoustic.convnext import ConvNeXtStack, frame_mask
from spear_accel.audio.encoder import FBANK_BINS, FbankEncoderConfig, SpeechEncoder, create_ctc_model
from spear_accel.audio.kmeans import fit_codebook
from spear_accel.audio.scalar_quantiser import check_levels
from spear_accel.audio.tokenizer import ENCODER, SpeechTokenizer, SpeechTokenizerConfig
from spear_accel.data.batching import batches_by_length
from spear_accel.errors import UserError
from spear_accel.storage.weights import CONFIG, read_config, read_tensors
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.losses import best_path, ctc_loss_per_symbol, symbol_errors
from spear_accel.training.loop.settings import (
    AtLeastOne,
    NotNegative,
    NotNegativeInt,
    Settings,
    Share,
    build,
    read_sections,
)
from spear_accel.training.loop.trainer import load_modules, run
from spear_accel.training.quantiser_layers import CodebookLayer, Quantised, ScalarLayer
from spear_accel.training.speech_tokenizer import SpeechCtcData, SpeechCtcTask, encoder_weights, read_symbols
from spear_accel.training.speech_tokenizer import load_trained as load_recogniser

__all__ = ["QuantiserShape", "QuantiserTask", "QuantiserTraining", "SpeechQuantiser", "load_trained", "train"]

NAME = "quantiser"


@dataclass(frozen=True)
class QuantiserShape:
    """Where the quantiser sits, and the stack that remakes sound from its units."""

    units: AtLeastOne = 512
    """Of a learned codebook."""
    levels: tuple[AtLeastOne, ...] = ()
    """Instead of it: levels of finite scalar quantisation; their product is the number of units."""
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

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return check_levels(self.levels) if self.levels else self.units


@dataclass(frozen=True)
class QuantiserTraining:
    """The `training` section."""

    envelope_weight: NotNegative = 3.0
    """Weight of the envelope's loss beside that of CTC."""
    warp: Share = 0.1
    """Channels of the input are stretched by up to this share either way, as longer and shorter vocal tracts do
    (Jaitly and Hinton 2013); the envelope that is remade is not."""
    commitment_weight: NotNegative = 0.25
    """Weight of the distance of frames to the units of a learned codebook."""
    init_from: str | None = None
    """A speech tokenizer's folder, or the training folder of an encoder, whose encoder layers are the start."""
    fit_on: NotNegativeInt = 800
    """Recordings whose frames, by k-means, are the start of a learned codebook; 0 starts at random."""


class Remade(NamedTuple):
    """What is spelt and remade from the units of a batch."""

    logits: Tensor
    """Of CTC [B, encoder frames, symbols]."""
    lengths: Tensor
    """Encoder frames of each row [B]."""
    cepstra: Tensor
    """[B, filterbank frames, cepstra]"""
    units: Tensor
    """int64 [B, T]"""
    inside: Tensor
    """Which units are no padding: bool [B, T]."""
    commitment: Tensor
    """See `Quantised`."""


class SpeechQuantiser(nn.Module):
    """A recogniser with a quantiser in its middle, and the envelope remade from the units."""

    def __init__(self, encoder: FbankEncoderConfig, shape: QuantiserShape) -> None:
        super().__init__()
        if shape.layer >= encoder.layers:
            raise UserError(
                f"layer {shape.layer}: the quantiser needs at least one of {encoder.layers} layers above it"
            )
        self.shape, self.stride = shape, encoder.stride
        self.ctc = create_ctc_model(encoder)
        recogniser: Any = self.ctc.recogniser
        self.quantise: ScalarLayer | CodebookLayer = (
            ScalarLayer(encoder.dim, shape.levels) if shape.levels else CodebookLayer(encoder.dim, shape.units)
        )
        self.speaker = nn.Embedding(shape.speakers, encoder.dim)
        self.stack = ConvNeXtStack(encoder.dim, shape.hidden, shape.blocks, shape.kernel)
        self.head = nn.Linear(encoder.dim, shape.pool * encoder.stride * shape.cepstra)
        self._inside = torch.empty(0)
        """Which tokens of the pass now running are no padding: bool [B, T]."""
        self._quantised = Quantised(torch.empty(0), torch.empty(0), torch.empty(0))
        recogniser.encoder.layers[shape.layer - 1].register_forward_hook(self._replace)

    def _replace(self, layer: nn.Module, inputs: Any, hidden: Tensor) -> Tensor:
        """What the layer hands on, [B, T * pool, dim], becomes the vectors of its units."""
        pooled = reduce(hidden, "b (t p) d -> b t d", "mean", p=self.shape.pool)
        with torch.autocast(hidden.device.type, enabled=False):
            self._quantised = self.quantise(pooled.float(), self._inside)
        return repeat(self._quantised.vectors, "b t d -> b (t p) d", p=self.shape.pool).to(hidden.dtype)

    def forward(self, features: Tensor, lengths: Tensor, speakers: Tensor) -> Remade:
        """Spell and remake filterbanks from their units.

        Args:
            features: Filterbanks [B, frames, 80]; `frames` a multiple of stride times pool.
            lengths: Filterbank frames of each row [B], multiples of the same.
            speakers: int64 [B].
        """
        frames = self.shape.pool * self.stride
        mask = frame_mask(lengths // frames, features.shape[1] // frames)
        self._inside = mask[..., 0].bool()
        logits, encoder_lengths = self.ctc(features, lengths)
        made = self._quantised
        told = (made.vectors + rearrange(self.speaker(speakers), "b d -> b 1 d")) * mask
        cepstra = rearrange(self.head(self.stack(told, mask)), "b t (r c) -> b (t r) c", r=frames)
        return Remade(logits, encoder_lengths, cepstra, made.units, self._inside, made.commitment)


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
        made: Remade = modules[NAME](heard, batch["lengths"], batch["speakers"])
        ctc, envelope = self._judge(made, batch)
        loss = ctc + self.training.envelope_weight * envelope + self.training.commitment_weight * made.commitment
        values = {"ctc": ctc, "envelope": envelope, "commitment": made.commitment}
        yield NAME, loss, {name: float(value.detach()) for name, value in values.items()}

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
            totals += torch.stack(self._judge(made, batch)).cpu()
            found += best_path(made.logits, made.lengths)
            wanted += [example[1].tolist() for example in examples]
            units.append(made.units[made.inside].cpu())
        counts = torch.bincount(torch.cat(units), minlength=self.shape.unit_count) / sum(map(len, units))
        ctc_loss, unexplained = (totals / len(batches)).tolist()
        return {
            "ctc": ctc_loss,
            "envelope": unexplained,
            "symbol_error_rate": symbol_errors(found, wanted),
            "unit_perplexity": float(torch.special.entr(counts).sum().exp()),
        }

    def _judge(self, made: Remade, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """CTC loss in nats a symbol, and the share of the envelope's variance that is missed."""
        ctc = ctc_loss_per_symbol(made.logits, made.lengths, batch["targets"], batch["target_lengths"])
        wanted = batch["features"] @ self.dct.to(made.cepstra.device)
        inside = frame_mask(batch["lengths"], wanted.shape[1])
        error = ((made.cepstra.float() - wanted).square() * inside).sum() / (wanted.square() * inside).sum()
        return ctc, error


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
        layer=shape.layer, units=shape.unit_count, frame_rate=own.frame_rate // shape.pool, pool=shape.pool,
        encoder=asdict(encoder), levels=list(shape.levels) or None,
    )  # fmt: skip
    return SpeechTokenizer(config, own, module.quantise.quantiser()), below


def _start(task: QuantiserTask) -> None:
    """Starting weights: encoder layers of a tokenizer's folder, and centroids fitted to what they make."""
    module = task.modules[NAME]
    assert isinstance(module, SpeechQuantiser)
    if task.training.init_from is not None:
        own = module.ctc.state_dict()
        known = encoder_weights(_encoder_of(Path(task.training.init_from)), task.encoder.layers)
        known = {key: value for key, value in known.items() if key in own}
        if wrong := [key for key, value in known.items() if own[key].shape != value.shape]:
            raise UserError(f"init_from: {task.training.init_from} has an encoder of other sizes ({wrong[0]})")
        module.ctc.load_state_dict(known, strict=False)
    if isinstance(module.quantise, CodebookLayer) and task.training.fit_on:
        module.quantise.start_from(fit_codebook(_frames(task, module), module.shape.units))


def _encoder_of(folder: Path) -> dict[str, Tensor]:
    """The encoder's weights in a speech tokenizer's folder, or in a training folder of `speech_tokenizer`."""
    if (folder / ENCODER).is_file():
        return read_tensors(folder / ENCODER)
    return load_recogniser(folder)[1]


@torch.no_grad()
def _frames(task: QuantiserTask, module: SpeechQuantiser) -> Tensor:
    """What the layer below the quantiser makes of recordings of the first epoch: [frames, dim]."""
    order = [index for batch in task.epoch(0, 0) for index in batch][: task.training.fit_on]
    below = encoder_weights(module.ctc.state_dict(), module.shape.layer)
    encoder = SpeechEncoder.from_config(task.encoder, below, module.shape.layer)
    layer, pool = module.shape.layer, module.shape.pool
    found = (encoder.encode([task.dataset()[index][0]], (layer,))[0][layer] for index in order)
    return torch.cat([reduce(frames, "(t p) d -> t d", "mean", p=pool) for frames in found])


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
    if not (given.output / "checkpoint").exists():
        _start(task)
    return run(task, loop, given.output, {"encoder": asdict(encoder), "shape": asdict(shape)}, given.values)
