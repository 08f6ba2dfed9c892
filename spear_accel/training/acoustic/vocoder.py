"""Training of the vocoder: crops of recordings, spectral distances and, on wish, discriminators.

Two passes suit a CPU: first the spectral distances alone (`adversarial.weight` 0), then a run with discriminators
that starts from the first (`initial`). A third run with `aligned` lets the vocoder learn the mel frames that it
will really be given. Does not know the optimiser, the device or the schedule: that is the loop's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spear_accel.acoustic.mel import LogMel, LogMelConfig
from spear_accel.acoustic.vocoder import Vocoder, VocoderConfig
from spear_accel.data.batching import shuffled_batches
from spear_accel.errors import UserError
from spear_accel.training.acoustic.discriminators import (
    WaveformDiscriminator,
    discriminator_loss,
    feature_matching_loss,
    fixed_judgement,
    generator_loss,
)
from spear_accel.training.acoustic.recordings import Recording
from spear_accel.training.acoustic.spectral_losses import MultiResolutionDistance

# Frames of real audio taken beside a crop, so that the mel frames at its edges see what they would see inside a clip.
_MARGIN = 2


@dataclass(frozen=True)
class AdversarialConfig:
    """Discriminators and their share of the loss; `weight` 0 trains without them. `rows` of a batch are judged."""

    weight: float = 0.0
    matching: float = 4.0
    rows: int = 8
    resolutions: tuple[int, ...] = (512, 1024, 2048)
    periods: tuple[int, ...] = (2, 3, 5, 7)
    channels: int = 32


@dataclass(frozen=True)
class VocoderTraining:
    """Everything but data and loop.

    `aligned_share` is the share of crops that are given predicted mel frames where there are such; the others are
    given the true ones, so that the vocoder goes on inverting faithfully.
    """

    mel: LogMelConfig = field(default_factory=LogMelConfig)
    model: VocoderConfig = field(default_factory=VocoderConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    crop_frames: int = 64
    batch_size: int = 16
    aligned_share: float = 0.5
    mel_weight: float = 10.0
    distance_sizes: tuple[int, ...] = (256, 512, 1024, 2048)

    def __post_init__(self) -> None:
        longest = max(self.distance_sizes + self.adversarial.resolutions)
        if self.crop_frames * self.mel.hop < 2 * longest:
            raise UserError(f"crop_frames {self.crop_frames} is too short for windows of {longest} samples")


class Crops(Sequence[Any]):
    """Random crops, as many of a clip as fit into it.

    Item: waveform [samples] with a margin of frames on both sides and, where there are predicted mel frames, log_mel
    [F, bins] and whether they shall be given to the vocoder.
    """

    def __init__(
        self, recordings: Sequence[Recording], mels: dict[str, Tensor] | None, share: float, frames: int, hop: int
    ) -> None:
        self.frames, self.hop, self.mels, self.share = frames, hop, mels, share
        self.entries = [r for r in recordings for _ in range(max(1, r.samples // (frames * hop)))]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        recording = self.entries[index]
        available = recording.samples // self.hop
        start = int(torch.randint(max(available - self.frames, 0) + 1, ()))
        waveform = recording.read((start - _MARGIN) * self.hop, (self.frames + 2 * _MARGIN) * self.hop)
        if self.mels is None:
            return {"waveform": waveform}
        log_mel = self.mels[recording.name][start : start + self.frames]
        missing = self.frames - len(log_mel)
        log_mel = torch.cat([log_mel, log_mel[-1:].expand(missing, -1)])
        return {"waveform": waveform, "log_mel": log_mel, "aligned": torch.rand(()) < self.share}


class VocoderTask:
    """The loop's task: see `spear_accel.training.loop.trainer.Task`.

    `mels` maps a clip's name to the log-mel [frames, bins] that the vocoder shall be given; None computes it from the
    recording itself.
    """

    modules: dict[str, nn.Module]

    def __init__(
        self,
        options: VocoderTraining,
        training: Sequence[Recording],
        validation: Sequence[Recording],
        mels: dict[str, Tensor] | None = None,
    ) -> None:
        self.options, self.validation, self.mels = options, validation, mels
        self.crops = Crops(training, mels, options.aligned_share, options.crop_frames, options.mel.hop)
        self.log_mel = LogMel(options.mel)
        self.distance = MultiResolutionDistance(options.distance_sizes, options.mel.sample_rate)
        self.modules = {"vocoder": Vocoder(options.model, options.mel)}
        adversarial = options.adversarial
        if adversarial.weight:
            self.modules["discriminator"] = WaveformDiscriminator(
                adversarial.resolutions, adversarial.periods, adversarial.channels
            )

    def dataset(self) -> Sequence[Any]:
        return self.crops

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        return shuffled_batches(len(self.crops), self.options.batch_size, number=number, seed=seed)

    def collate(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {key: torch.stack([example[key] for example in examples]) for key in examples[0]}

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        log_mel, real = self.pair(batch)
        made = modules["vocoder"](log_mel)
        adversarial = self.options.adversarial
        if adversarial.weight:
            rows = min(adversarial.rows, len(real))
            yield self._discriminator(modules["discriminator"], real[:rows], made[:rows].detach())
        mel, magnitude = self.distance.to(real.device)(made, real)
        loss = self.options.mel_weight * mel + magnitude
        metrics = {"mel": float(mel.detach()), "magnitude": float(magnitude.detach())}
        if adversarial.weight:
            fooling, matching = self._fooling(real[:rows], made[:rows])
            loss = loss + adversarial.weight * (fooling + adversarial.matching * matching)
            metrics |= {"fooling": float(fooling.detach()), "matching": float(matching.detach())}
        yield "vocoder", loss, metrics

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        totals: dict[str, float] = {}
        device = next(modules["vocoder"].parameters()).device
        for recording in self.validation:
            frames = recording.samples // self.options.mel.hop
            real = recording.read(0, frames * self.options.mel.hop).to(device)[None]
            given = {"": self._mel_of(real)}
            if self.mels is not None:
                given["aligned_"] = self.mels[recording.name].to(device)[None, :frames]
            for kind, log_mel in given.items():
                made = modules["vocoder"](log_mel)
                mel, magnitude = self.distance.to(device)(made, real[:, : made.shape[1]])
                totals[f"{kind}mel"] = totals.get(f"{kind}mel", 0.0) + float(mel)
                totals[f"{kind}magnitude"] = totals.get(f"{kind}magnitude", 0.0) + float(magnitude)
        return {key: total / len(self.validation) for key, total in totals.items()}

    def _mel_of(self, waveform: Tensor) -> Tensor:
        with torch.autocast(waveform.device.type, enabled=False), torch.no_grad():
            log_mel: Tensor = self.log_mel.to(waveform.device)(waveform)
        return log_mel

    def pair(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The log-mel to be given and the waveform to be made, of the same frames."""
        waveform, margin = batch["waveform"], _MARGIN * self.options.mel.hop
        log_mel = self._mel_of(waveform)[:, _MARGIN:-_MARGIN]
        if "log_mel" in batch:
            log_mel = torch.where(batch["aligned"][:, None, None], batch["log_mel"], log_mel)
        return log_mel, waveform[:, margin:-margin]

    def _discriminator(
        self, discriminator: nn.Module, real: Tensor, made: Tensor
    ) -> tuple[str, Tensor, dict[str, float]]:
        loss = discriminator_loss(discriminator(real), discriminator(made))
        return "discriminator", loss, {"discriminator": float(loss.detach())}

    def _fooling(self, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        of_real, of_made = fixed_judgement(self.modules["discriminator"], real, made)
        return generator_loss(of_made), feature_matching_loss(of_real, of_made)
