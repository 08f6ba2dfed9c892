"""Training of the mel decoder: semantic tokens of recordings, their log-mel frames and their pitch.

The first pass minimises the absolute error of the mel frames and the errors of pitch and voicing; a second one
(`adversarial_weight` above 0) adds a discriminator of mel pictures, which brings back the grain that averaging takes
away. Does not know how the tokens were made, nor the optimiser, the device or the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from spear_accel.acoustic.convnext import frame_mask
from spear_accel.acoustic.mel import LogMel, LogMelConfig
from spear_accel.acoustic.mel_decoder import MelDecoder, MelDecoderConfig, MelPrediction, Pitch
from spear_accel.data.batching import shuffled_batches
from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.acoustic.discriminators import (
    MelDiscriminator,
    discriminator_loss,
    feature_matching_loss,
    fixed_judgement,
    generator_loss,
)
from spear_accel.training.acoustic.pitch import PitchConfig, cached_pitch
from spear_accel.training.acoustic.recordings import Recording

# Tokens and mel frames of one clip may disagree by a window's worth; more means other audio or another frame rate.
_TOLERANCE_SECONDS = 0.1


@dataclass(frozen=True)
class MelDecoderTraining:
    """Everything but data and loop."""

    model: MelDecoderConfig
    mel: LogMelConfig = field(default_factory=LogMelConfig)
    pitch: PitchConfig = field(default_factory=PitchConfig)
    crop_seconds: float = 2.0
    batch_size: int = 16
    pitch_weight: float = 0.2
    adversarial_weight: float = 0.0
    matching_weight: float = 2.0
    channels: int = 32


@dataclass(frozen=True)
class Utterance:
    """A clip's tokens int64 [T], log-mel [T * r, bins] and pitch in Hz [T * r], zero where unvoiced."""

    name: str
    tokens: Tensor
    log_mel: Tensor
    hertz: Tensor


def read_tokens(path: Path, units: int) -> dict[str, Tensor]:
    """Tokens by clip id from a JSONL file with `id` and `tokens`.

    Raises:
        UserError: A line lacks a field, or a token is not below `units`.
    """
    tokens = {}
    for number, record in enumerate(read_manifest(path, ("id", "tokens")), start=1):
        values = torch.as_tensor(record["tokens"], dtype=torch.long)
        if values.numel() == 0 or int(values.min()) < 0 or int(values.max()) >= units:
            raise UserError(f"{path}, record {number}: tokens must be 0..{units - 1} and not empty; check model.units")
        tokens[str(record["id"])] = values
    return tokens


def load_utterances(
    recordings: Sequence[Recording], tokens: dict[str, Tensor], options: MelDecoderTraining, cache: Path
) -> list[Utterance]:
    """Join recordings with their tokens; clips without tokens are left out.

    Raises:
        UserError: Tokens and audio of a clip differ in length, or no clip has tokens.
    """
    front_end = LogMel(options.mel)
    known = [recording for recording in recordings if recording.name in tokens]
    if recordings and not known:
        raise UserError(f"none of the {len(recordings)} recordings has tokens; ids in data.tokens must be file names")
    return [_utterance(recording, tokens[recording.name], front_end, options, cache) for recording in known]


def _utterance(
    recording: Recording, tokens: Tensor, front_end: LogMel, options: MelDecoderTraining, cache: Path
) -> Utterance:
    ratio = round(options.mel.frames_per_second / options.model.frame_rate)
    frames = recording.samples // options.mel.hop
    if abs(len(tokens) * ratio - frames) > _TOLERANCE_SECONDS * options.mel.frames_per_second:
        raise UserError(
            f"{recording.name}: {len(tokens)} tokens are {len(tokens) / options.model.frame_rate:.2f} s, its audio is "
            f"{frames / options.mel.frames_per_second:.2f} s; check model.frame_rate and that repeats were kept"
        )
    count = min(len(tokens), frames // ratio)
    waveform = recording.read()
    hertz = cached_pitch(recording.name, waveform, options.mel.sample_rate, options.mel.hop, options.pitch, cache)
    log_mel = front_end(waveform[None])[0]
    return Utterance(recording.name, tokens[:count], log_mel[: count * ratio], hertz[: count * ratio])


class TokenCrops(Sequence[Any]):
    """Random crops of utterances, padded to one length."""

    def __init__(self, utterances: Sequence[Utterance], length: int, ratio: int) -> None:
        self.utterances, self.length, self.ratio = utterances, length, ratio

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, index: Any) -> Any:
        utterance = self.utterances[index]
        start = int(torch.randint(max(len(utterance.tokens) - self.length, 0) + 1, ()))
        tokens = utterance.tokens[start : start + self.length]
        frames = slice(start * self.ratio, (start + self.length) * self.ratio)
        missing = self.length - len(tokens)
        return {
            "tokens": nn.functional.pad(tokens, (0, missing)),
            "lengths": torch.tensor(len(tokens)),
            "log_mel": nn.functional.pad(utterance.log_mel[frames], (0, 0, 0, missing * self.ratio)),
            "hertz": nn.functional.pad(utterance.hertz[frames], (0, missing * self.ratio)),
        }


class MelDecoderTask:
    """The loop's task: see `spear_accel.training.loop.trainer.Task`."""

    modules: dict[str, nn.Module]

    def __init__(
        self, options: MelDecoderTraining, training: Sequence[Utterance], validation: Sequence[Utterance]
    ) -> None:
        self.options, self.validation = options, validation
        decoder = MelDecoder(options.model, options.mel)
        self.ratio = decoder.frames_per_token
        self.crops = TokenCrops(training, round(options.crop_seconds * options.model.frame_rate), self.ratio)
        self.modules = {"mel_decoder": decoder}
        if options.adversarial_weight:
            self.modules["discriminator"] = MelDiscriminator(options.channels)

    def dataset(self) -> Sequence[Any]:
        return self.crops

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        return shuffled_batches(len(self.crops), self.options.batch_size, number=number, seed=seed)

    def collate(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {key: torch.stack([example[key] for example in examples]) for key in examples[0]}

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        made: MelPrediction = modules["mel_decoder"](batch["tokens"], batch["lengths"], self._pitch(batch["hertz"]))
        mask = frame_mask(batch["lengths"] * self.ratio, made.log_mel.shape[1])
        # Beyond a row's end both pictures are flat, so the discriminator learns nothing from there.
        real_picture, made_picture = self._picture(batch["log_mel"], mask), self._picture(made.log_mel, mask)
        if self.options.adversarial_weight:
            judge = modules["discriminator"]
            loss = discriminator_loss([judge(real_picture)], [judge(made_picture.detach())])
            yield "discriminator", loss, {"discriminator": float(loss.detach())}
        loss, metrics = self._distance(made, batch, mask)
        if self.options.adversarial_weight:
            fooling, matching = self._fooling(real_picture, made_picture)
            loss = loss + self.options.adversarial_weight * (fooling + self.options.matching_weight * matching)
            metrics |= {"fooling": float(fooling.detach()), "matching": float(matching.detach())}
        yield "mel_decoder", loss, metrics

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        decoder = modules["mel_decoder"]
        device = next(decoder.parameters()).device
        totals: dict[str, float] = {}
        for utterance in self.validation:
            batch = {"tokens": utterance.tokens[None].to(device), "log_mel": utterance.log_mel[None].to(device)}
            batch |= {"hertz": utterance.hertz[None].to(device), "lengths": torch.tensor([len(utterance.tokens)])}
            mask = frame_mask(batch["lengths"].to(device) * self.ratio, batch["log_mel"].shape[1])
            made = decoder(batch["tokens"], None, self._pitch(batch["hertz"]))
            alone = decoder(batch["tokens"]).log_mel
            metrics = self._distance(made, batch, mask)[1]
            metrics["mel_own_pitch"] = float((alone - batch["log_mel"]).abs().mean())
            totals = {key: totals.get(key, 0.0) + value for key, value in metrics.items()}
        return {key: total / len(self.validation) for key, total in totals.items()}

    def _pitch(self, hertz: Tensor) -> Pitch:
        config = self.options.model
        return Pitch(hertz.clamp(config.pitch_lowest_hz, config.pitch_highest_hz).log(), (hertz > 0).float())

    def _picture(self, log_mel: Tensor, mask: Tensor) -> Tensor:
        """[B, F, bins] -> [B, 1, F, bins] near unit scale."""
        config = self.options.model
        return rearrange((log_mel - config.mel_mean) / config.mel_scale * mask, "b f m -> b 1 f m")

    def _distance(self, made: MelPrediction, batch: dict[str, Tensor], mask: Tensor) -> tuple[Tensor, dict[str, float]]:
        inside = mask[..., 0]
        pitch = self._pitch(batch["hertz"])
        mel = ((made.log_mel - batch["log_mel"]).abs().mean(-1) * inside).sum() / inside.sum()
        voiced = inside * pitch.voicing
        frequency = ((made.log_hz - pitch.log_hz).abs() * voiced).sum() / voiced.sum().clamp_min(1)
        voicing = nn.functional.binary_cross_entropy_with_logits(made.voicing_logits, pitch.voicing, reduction="none")
        voicing = (voicing * inside).sum() / inside.sum()
        loss = mel + self.options.pitch_weight * (frequency / self.options.model.pitch_scale + voicing)
        semitones = float(frequency.detach()) * 12 / 0.6931
        return loss, {"mel": float(mel.detach()), "semitones": semitones, "voicing": float(voicing.detach())}

    def _fooling(self, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        of_real, of_made = fixed_judgement(self.modules["discriminator"], real, made)
        return generator_loss([of_made]), feature_matching_loss([of_real], [of_made])


@torch.no_grad()
def predicted_mels(decoder: MelDecoder, utterances: Sequence[Utterance]) -> dict[str, Tensor]:
    """Log-mel [frames, bins] by clip, predicted from the clip's own tokens *and pitch*: aligned with its audio."""
    decoder.eval()
    config = decoder.config
    mels = {}
    for utterance in utterances:
        hertz = utterance.hertz[None]
        pitch = Pitch(hertz.clamp(config.pitch_lowest_hz, config.pitch_highest_hz).log(), (hertz > 0).float())
        mels[utterance.name] = decoder(utterance.tokens[None], None, pitch).log_mel[0]
    return mels
