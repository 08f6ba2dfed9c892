"""Semantic tokens to log-mel frames, all at once.

Semantic tokens say what is spoken and hardly at which pitch, and a network that has to guess both at once answers with
an average: blurred harmonics, a hoarse voice. So one small stack predicts pitch and voicing from the tokens, and the
mel frames are predicted from tokens *and* pitch (FastPitch, Lancucki 2021, arXiv 2006.06873); training gives the true
pitch. Every part is convolutional with a bounded reach, so chunks can be decoded with a bounded context.
Does not know text, waveforms or losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from spear_accel.acoustic.convnext import ConvNeXtStack, frame_mask
from spear_accel.acoustic.harmonics import HarmonicTemplate
from spear_accel.acoustic.mel import LogMelConfig
from spear_accel.errors import UserError
from spear_accel.kernels.projection import Projection

# Steep enough that a predicted voicing is nearly on or off, as the true one is, and still continuous.
_VOICING_STEEPNESS = 4.0


@dataclass(frozen=True)
class MelDecoderConfig:
    """Sizes of the network. `units` semantic tokens (ids 0..units-1) at `frame_rate` tokens a second.

    `dropout` and `pitch_dropout` act in the blocks of the mel and the pitch stacks; `token_dropout` hides whole
    tokens, which a decoder must bear that will be given predicted ones.
    `centroid_width` above 0 is the width of given vectors that tokens enter as: a tokenizer's centroids, which say what
    sounds alike.
    `mel_mean` and `mel_scale` are those of the vocoder; `pitch_mean` and `pitch_scale` are of natural-log Hz.
    """

    units: int
    frame_rate: float
    width: int = 320
    hidden: int = 960
    token_blocks: int = 6
    frame_blocks: int = 6
    kernel: int = 7
    pitch_width: int = 160
    pitch_blocks: int = 6
    pitch_kernel: int = 9
    dropout: float = 0.1
    pitch_dropout: float = 0.3
    token_dropout: float = 0.1
    centroid_width: int = 0
    mel_mean: float = -5.5
    mel_scale: float = 2.5
    pitch_mean: float = 5.1
    pitch_scale: float = 0.25
    pitch_lowest_hz: float = 80.0
    pitch_highest_hz: float = 480.0

    def __post_init__(self) -> None:
        sizes = (self.units, self.width, self.token_blocks, self.frame_blocks, self.pitch_width, self.pitch_blocks)
        if min(sizes) < 1 or self.frame_rate <= 0:
            raise UserError("mel decoder: units, frame_rate, widths and blocks must be positive")
        if self.kernel % 2 == 0 or self.pitch_kernel % 2 == 0:
            raise UserError("mel decoder: kernel and pitch_kernel must be odd")


@dataclass(frozen=True)
class Pitch:
    """Natural-log Hz [B, F] and voicing [B, F] in 0..1; the frequency matters only where voicing is above zero."""

    log_hz: Tensor
    voicing: Tensor


@dataclass(frozen=True)
class MelPrediction:
    """Log-mel [B, F, bins], and the pitch stack's log-frequency [B, F] and voicing logits [B, F]."""

    log_mel: Tensor
    log_hz: Tensor
    voicing_logits: Tensor


class CentroidEmbedding(nn.Module):
    """Tokens to vectors by a fixed table and a learned projection."""

    centroids: Tensor

    def __init__(self, units: int, centroid_width: int, width: int) -> None:
        super().__init__()
        self.register_buffer("centroids", torch.zeros(units, centroid_width))
        self.project = Projection(centroid_width, width, bias=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Int64 [B, T] -> [B, T, width]."""
        vectors: Tensor = self.project(self.centroids[tokens])
        return vectors


def _embedding(config: MelDecoderConfig, width: int) -> nn.Module:
    if config.centroid_width:
        return CentroidEmbedding(config.units, config.centroid_width, width)
    return nn.Embedding(config.units, width)


class PitchPredictor(nn.Module):
    """Tokens to log-frequency and voicing logits of every frame; wide in time, thin in channels."""

    def __init__(self, config: MelDecoderConfig, frames_per_token: int) -> None:
        super().__init__()
        self.config, self.frames_per_token = config, frames_per_token
        self.embedding = _embedding(config, config.pitch_width)
        # One-dimensional dropout zeroes rows of [B, T, width], that is, whole tokens.
        self.dropout = nn.Dropout1d(config.token_dropout)
        width = config.pitch_width
        self.stack = ConvNeXtStack(width, 2 * width, config.pitch_blocks, config.pitch_kernel, config.pitch_dropout)
        self.head = Projection(width, 2 * frames_per_token, bias=True)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Int64 [B, T], mask [B, T, 1] -> two float32 [B, T * frames_per_token]."""
        x = self.dropout(self.embedding(tokens))
        x = self.stack(x if mask is None else x * mask, mask)
        relative, logits = rearrange(self.head(x).float(), "b t (r two) -> two b (t r)", two=2)
        return self.config.pitch_mean + self.config.pitch_scale * relative, logits


class MelDecoder(nn.Module):
    """The whole network: pitch stack, token stack, frame stack."""

    def __init__(self, config: MelDecoderConfig, mel: LogMelConfig) -> None:
        super().__init__()
        ratio = mel.frames_per_second / config.frame_rate
        if ratio < 1 or ratio != int(ratio):
            raise UserError(
                f"mel decoder: {mel.frames_per_second:g} mel frames a second are no whole number of frames for each of "
                f"{config.frame_rate:g} tokens a second; choose frame_rate 25 or 50"
            )
        self.config, self.mel, self.frames_per_token = config, mel, int(ratio)
        self.pitch = PitchPredictor(config, self.frames_per_token)
        self.embedding = _embedding(config, config.width)
        self.dropout = nn.Dropout1d(config.token_dropout)
        self.token_stack = self._stack(config.token_blocks)
        self.place = nn.Parameter(torch.randn(self.frames_per_token, config.width) * 0.1)
        self.harmonics = HarmonicTemplate(mel, config.pitch_lowest_hz, config.pitch_highest_hz)
        self.voiced = Projection(mel.bins + 2, config.width, bias=True)
        self.frame_stack = self._stack(config.frame_blocks)
        self.head = Projection(config.width, mel.bins, bias=True)

    def _stack(self, blocks: int) -> ConvNeXtStack:
        config = self.config
        return ConvNeXtStack(config.width, config.hidden, blocks, config.kernel, config.dropout)

    def take_centroids(self, centroids: Tensor) -> None:
        """Fill the tables that tokens enter by, [units, centroid_width].

        Raises:
            UserError: The decoder has no such tables, or they have another shape.
        """
        tables = [part for part in (self.embedding, self.pitch.embedding) if isinstance(part, CentroidEmbedding)]
        wanted = (self.config.units, self.config.centroid_width)
        if not tables or tuple(centroids.shape) != wanted:
            raise UserError(
                f"mel decoder: centroids are {list(centroids.shape)}; set model.units and model.centroid_width to them"
            )
        for table in tables:
            table.centroids.copy_(centroids)

    @property
    def reach(self) -> int:
        """Tokens on each side of a token that its frames depend on."""
        per_frame = -(-self.frame_stack.reach // self.frames_per_token)
        return max(self.pitch.stack.reach, self.token_stack.reach) + per_frame

    def predict_pitch(self, log_hz: Tensor, voicing_logits: Tensor) -> Pitch:
        """The pitch stack's answer in the form that the frame stack takes."""
        return Pitch(log_hz, torch.sigmoid(_VOICING_STEEPNESS * voicing_logits))

    def _frames(self, tokens: Tensor, mask: Tensor | None, pitch: Pitch) -> Tensor:
        """Frame-level input [B, F, width]: what is said, where in the token, and the harmonics of the pitch."""
        x = self.dropout(self.embedding(tokens))
        x = self.token_stack(x if mask is None else x * mask, mask)
        spread: Tensor = rearrange(rearrange(x, "b t d -> b t 1 d") + self.place, "b t r d -> b (t r) d")
        relative = (pitch.log_hz - self.config.pitch_mean) / self.config.pitch_scale
        plain = torch.stack([relative, torch.ones_like(relative)], dim=-1)
        about = torch.cat([self.harmonics(pitch.log_hz), plain], dim=-1)
        voiced: Tensor = self.voiced(about * pitch.voicing.unsqueeze(-1))
        return spread + voiced

    def forward(self, tokens: Tensor, lengths: Tensor | None = None, pitch: Pitch | None = None) -> MelPrediction:
        """Predict the mel frames of each row.

        Args:
            tokens: Int64 [B, T]; any valid id stands in the padding.
            lengths: Int64 [B], or None where all rows are T long.
            pitch: The pitch to speak at [B, T * frames_per_token]; None takes the predicted one.
        """
        token_mask = None if lengths is None else frame_mask(lengths, tokens.shape[1])
        mask = None if token_mask is None else token_mask.repeat_interleave(self.frames_per_token, dim=1)
        log_hz, logits = self.pitch(tokens, token_mask)
        x = self._frames(tokens, token_mask, pitch or self.predict_pitch(log_hz, logits))
        x = self.frame_stack(x if mask is None else x * mask, mask)
        log_mel = self.head(x).float() * self.config.mel_scale + self.config.mel_mean
        return MelPrediction(log_mel, log_hz, logits)
