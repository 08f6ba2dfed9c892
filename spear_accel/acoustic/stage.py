"""The acoustic stage: semantic tokens in, sound out, whole or as a stream.

`AcousticStage` is what a voice asks of any stage. `MelStage` is the shipped one: mel decoder, tempo,
then a vocoder or Griffin-Lim. Does not know text, nor how tokens were decoded, nor file formats (see `folder`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from spear_accel.acoustic.folder import read_parts, write_parts
from spear_accel.acoustic.griffin_lim import GriffinLim
from spear_accel.acoustic.growing import GrowingSound
from spear_accel.acoustic.mel_decoder import MelDecoder
from spear_accel.acoustic.tempo import stretch
from spear_accel.acoustic.vocoder import Vocoder
from spear_accel.checks import tempo
from spear_accel.errors import UserError
from spear_accel.storage.weights import CONFIG


@runtime_checkable
class AcousticStage(Protocol):
    """What makes sound of semantic tokens. Other stages register under the entry point group spear_accel.acoustic."""

    @property
    def sample_rate(self) -> int:
        """Samples a second of the waveforms."""

    @property
    def num_tokens(self) -> int:
        """Size of the semantic vocabulary: token ids are 0 .. num_tokens - 1."""

    def __call__(self, tokens: Tensor, lengths: Tensor, speed: float = 1.0) -> tuple[Tensor, Tensor]:
        """Int64 [B, T] and token counts [B] -> float32 [B, samples] and sample counts [B]."""

    def stream(self, chunks: Iterable[Tensor], speed: float = 1.0) -> Iterator[Tensor]:
        """Chunks int64 [n] of one utterance -> pieces float32 [samples]; joined they equal the whole."""


class MelStage:
    """Mel decoder, then anything that turns log-mel frames into samples.

    A row's sound does not depend on the other rows of its batch. Speeds are factors on the tempo, 0.5 to 2; the pitch
    stays.
    """

    def __init__(self, mel_decoder: MelDecoder, to_waveform: Vocoder | GriffinLim) -> None:
        if mel_decoder.mel != to_waveform.mel:
            raise UserError("acoustic stage: mel decoder and vocoder were made for different log-mel settings")
        self.mel_decoder = mel_decoder.eval()
        self.to_waveform = to_waveform.eval()

    @property
    def sample_rate(self) -> int:
        return self.mel_decoder.mel.sample_rate

    @property
    def num_tokens(self) -> int:
        return self.mel_decoder.config.units

    @property
    def frame_rate(self) -> float:
        """Tokens a second."""
        return self.mel_decoder.config.frame_rate

    @property
    def device(self) -> torch.device:
        return self.mel_decoder.place.device

    def to(self, device: torch.device | str) -> MelStage:
        """Move the networks; returns the stage itself."""
        modules: tuple[nn.Module, ...] = (self.mel_decoder, self.to_waveform)
        for module in modules:
            module.to(device)
        return self

    @torch.inference_mode()
    def __call__(self, tokens: Tensor, lengths: Tensor, speed: float = 1.0) -> tuple[Tensor, Tensor]:
        """Int64 [B, T] and token counts [B] -> float32 [B, samples] and sample counts [B]; zeros past a row's end.

        Raises:
            UserError: A token id is out of range, a row is empty, or `speed` is not within 0.5 .. 2.
        """
        tempo(speed)
        lengths = lengths.to(self.device)
        tokens = self._valid(tokens.to(self.device), lengths)
        log_mel = self.mel_decoder(tokens, lengths).log_mel
        frames = lengths * self.mel_decoder.frames_per_token
        if speed != 1.0:
            log_mel, frames = stretch(log_mel, frames, speed)
        return self.to_waveform(log_mel, frames), frames * self.mel_decoder.mel.hop

    def stream(self, chunks: Iterable[Tensor], speed: float = 1.0) -> Iterator[Tensor]:
        """Chunks int64 [n] of one utterance -> pieces float32 [samples], as soon as their context is known.

        Joined, the pieces equal the sound of the whole utterance. Each piece costs itself and a bounded context.

        Raises:
            UserError: As for a call.
        """
        tempo(speed)
        return self._pieces(chunks, speed)

    def grow(self, speed: float = 1.0) -> Callable[[Tensor, bool], Tensor | None]:
        """`stream` turned round, for one utterance: called with a chunk int64 [n] and whether it is the last.

        Returns the sound float32 [samples] that is certain by then, None if there is none yet.

        Raises:
            UserError: As for a call; the function too, where a token id is out of range.
        """
        sound = GrowingSound(self.mel_decoder, self.to_waveform, tempo(speed))

        def push(chunk: Tensor, last: bool) -> Tensor | None:
            chunk = chunk.reshape(1, -1).to(self.device)
            lengths = torch.tensor([chunk.shape[1]], device=self.device)
            return sound.push(self._valid(chunk, lengths, may_be_empty=True)[0], last)

        return push

    def _pieces(self, chunks: Iterable[Tensor], speed: float) -> Iterator[Tensor]:
        push = self.grow(speed)
        for chunk, last in _then_end(chunks):
            if (piece := push(chunk, last)) is not None:
                yield piece

    def _valid(self, tokens: Tensor, lengths: Tensor, may_be_empty: bool = False) -> Tensor:
        """The tokens with their padding replaced by a valid id."""
        if not may_be_empty and (not lengths.numel() or int(lengths.min()) < 1):
            raise UserError("acoustic stage: a row has no tokens, so there is nothing to speak")
        inside = torch.arange(tokens.shape[1], device=tokens.device)[None, :] < lengths[:, None]
        tokens = torch.where(inside, tokens, 0)
        if tokens.numel() and (int(tokens.min()) < 0 or int(tokens.max()) >= self.num_tokens):
            raise UserError(
                f"acoustic stage: token ids must be 0..{self.num_tokens - 1}; these tokens are of another voice"
            )
        return tokens


class NeuralAcousticStage(MelStage):
    """Mel decoder and neural vocoder: the shipped stage."""

    name: ClassVar[str] = "neural"

    def __init__(self, mel_decoder: MelDecoder, vocoder: Vocoder) -> None:
        super().__init__(mel_decoder, vocoder)
        self.vocoder = vocoder

    @classmethod
    def from_folder(cls, folder: Path) -> NeuralAcousticStage:
        """Load an `acoustic` folder. Raises UserError if it is damaged or has no vocoder."""
        mel_decoder, vocoder = read_parts(folder)
        if vocoder is None:
            raise UserError(f'{folder}: holds no vocoder; set "stage" to {GriffinLimStage.name!r} in its {CONFIG}')
        return cls(mel_decoder, vocoder)

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` (half precision)."""
        write_parts(folder, self.name, self.mel_decoder, self.vocoder)


class GriffinLimStage(MelStage):
    """Mel decoder and torchaudio's Griffin-Lim: needs no vocoder weights."""

    name: ClassVar[str] = "griffin-lim"

    def __init__(self, mel_decoder: MelDecoder, iterations: int = 32) -> None:
        super().__init__(mel_decoder, GriffinLim(mel_decoder.mel, iterations))

    @classmethod
    def from_folder(cls, folder: Path) -> GriffinLimStage:
        """Load an `acoustic` folder; a vocoder in it is ignored. Raises UserError if the folder is damaged."""
        return cls(read_parts(folder)[0])

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` (half precision)."""
        write_parts(folder, self.name, self.mel_decoder, None)


def _then_end(chunks: Iterable[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    """Yields (chunk, is_last). The last item is an empty chunk, so that no chunk waits for the next."""
    chunk: Tensor | None = None
    for chunk in chunks:
        yield chunk, False
    if chunk is not None:
        yield chunk.reshape(-1)[:0], True
