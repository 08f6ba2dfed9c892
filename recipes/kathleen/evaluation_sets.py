"""The sets of sound that `evaluate.py` judges, from the recording to text to speech, so that each stage's loss shows.

``recording``    real recordings of prompts that no training step saw
``true_mel``     their true log-mel through the vocoder             + what the vocoder costs
``true_pitch``   their tokens with their true pitch                 + what tokens and mel decoder cost
``resynthesis``  their tokens alone                                 + what predicted pitch costs
``speech``       text to speech of the same prompts                 + what text to semantic costs
``sentences``    text to speech of sentences kept back from training
``everyday``     text to speech of the sentences of `everyday_sentences.txt`

Knows voices and folders of WAV files. Does not know judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from json_log import JsonLog
from torch import Tensor
from tqdm import tqdm

from spear_accel import Voice
from spear_accel.acoustic import LogMel, LogMelConfig, NeuralAcousticStage
from spear_accel.acoustic.mel import mel_filters
from spear_accel.acoustic.mel_decoder import Pitch
from spear_accel.audio.encoder import SAMPLE_RATE
from spear_accel.audio.files import read_audio
from spear_accel.errors import UserError
from spear_accel.training.acoustic.pitch import PitchConfig, track_pitch
from spear_accel.voice.components import load_speech_tokenizer
from spear_accel.voice.folder import open_voice

__all__ = ["OF_RECORDINGS", "SETS", "SetMaker", "read_items"]

OF_RECORDINGS = ("recording", "true_mel", "true_pitch", "resynthesis", "speech")
SETS = (*OF_RECORDINGS, "sentences", "everyday")
Sound = tuple[np.ndarray, int]
"""Float32 samples [n] and their rate in Hz."""


@dataclass(frozen=True)
class SetMaker:
    """Makes sets of one voice; what is there already stays."""

    voice_name: str
    out: Path
    seed: int = 0

    def make(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Write ``OUT/NAME/ID.wav`` and a line of ``OUT/NAME/items.jsonl`` for each record that has none.

        Args:
            name: One of `SETS`.
            records: ``id`` and ``text``, and ``audio`` for the sets of recordings.

        Raises:
            UserError: The voice lacks a part that the set needs.
        """
        makers: dict[str, Callable[[Mapping[str, Any]], Sound]] = {
            "recording": _recording, "true_mel": self._true_mel, "true_pitch": self._true_pitch,
            "resynthesis": self._resynthesis,
        }  # fmt: skip
        make = makers.get(name, self._speech)
        items = JsonLog(self.out / name / "items.jsonl")
        for record in tqdm([r for r in records if r["id"] not in items], desc=name, mininterval=5):
            with torch.inference_mode():
                samples, rate = make(record)
            soundfile.write(self.out / name / f"{record['id']}.wav", np.clip(samples, -1, 1), rate, subtype="PCM_16")
            seconds = round(len(samples) / rate, 3)
            items.append({"id": record["id"], "text": record["text"], "seconds": seconds})

    @cached_property
    def voice(self) -> Voice:
        return Voice.load(self.voice_name)

    @cached_property
    def _stage(self) -> NeuralAcousticStage:
        if not isinstance(self.voice.acoustic, NeuralAcousticStage):
            raise UserError(f"{self.voice_name}: true_mel and true_pitch need an acoustic stage with a neural vocoder")
        return self.voice.acoustic

    @cached_property
    def _tokenize(self) -> Callable[[Tensor], Tensor]:
        tokenizer = load_speech_tokenizer(open_voice(self.voice_name))
        return lambda waveform: tokenizer.tokenize([waveform])[0]

    def _tokens(self, record: Mapping[str, Any]) -> Tensor:
        return self._tokenize(read_audio(record["audio"], SAMPLE_RATE))

    def _speech(self, record: Mapping[str, Any]) -> Sound:
        spoken = self.voice.speak(record["text"], seed=self.seed)
        return spoken.waveform.numpy(), spoken.sample_rate

    def _resynthesis(self, record: Mapping[str, Any]) -> Sound:
        return self.voice.semantic_to_waveform(self._tokens(record)).numpy(), self.voice.sample_rate

    def _true_pitch(self, record: Mapping[str, Any]) -> Sound:
        decoder, tokens = self._stage.mel_decoder, self._tokens(record)[None]
        mel, wanted = decoder.mel, tokens.shape[1] * decoder.frames_per_token * decoder.mel.hop
        waveform = read_audio(record["audio"], mel.sample_rate)
        waveform = torch.nn.functional.pad(waveform, (0, max(0, wanted - len(waveform))))[:wanted]
        hertz = track_pitch(waveform, mel.sample_rate, mel.hop, PitchConfig())[None]
        log_hz = torch.where(hertz > 0, hertz.clamp_min(1).log(), torch.tensor(decoder.config.pitch_mean))
        log_mel = decoder(tokens, pitch=Pitch(log_hz, (hertz > 0).float())).log_mel
        return self._stage.vocoder(log_mel)[0].numpy(), mel.sample_rate

    def _true_mel(self, record: Mapping[str, Any]) -> Sound:
        mel = self._stage.mel_decoder.mel
        made = self._stage.mel_decoder(self._tokens(record)[None]).log_mel
        # The vocoder knows the voice at one loudness; recordings may have another.
        loudness = self._stage.vocoder(made).square().mean().sqrt()
        waveform = read_audio(record["audio"], mel.sample_rate)
        true = LogMel(mel)(waveform[None] * (loudness / waveform.square().mean().sqrt().clamp_min(1e-6)))
        known = _known_bins(mel, soundfile.info(str(record["audio"])).samplerate)
        frames = min(made.shape[1], true.shape[1])
        joined = torch.cat([true[:, :frames, :known], made[:, :frames, known:]], dim=-1)
        return self._stage.vocoder(joined)[0].numpy(), mel.sample_rate


def read_items(folder: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """The items of a set, each with its WAV file."""
    for id, record in JsonLog(folder / "items.jsonl").records.items():
        yield record, folder / f"{id}.wav"


def _recording(record: Mapping[str, Any]) -> Sound:
    samples, rate = soundfile.read(str(record["audio"]), dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def _known_bins(mel: LogMelConfig, sample_rate: int) -> int:
    """How many mel bins a recording of that rate can fill; those above come from the mel decoder."""
    centres = mel_filters(mel).argmax(0) * mel.sample_rate / mel.n_fft
    return int((centres < 0.95 * sample_rate / 2).sum())
