"""Fundamental frequency of recordings, the target that the mel decoder's pitch part is trained on.

Method: autocorrelation of windowed frames divided by that of the window, then the cheapest path through a few
candidates a frame (Boersma 1993, "Accurate short-term analysis of the fundamental frequency"). Training only: a voice
predicts its pitch from tokens. Written here because the packages that do it need a compiler or are far slower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn

from spear_accel.storage import files

# Costs of the path, in units of normalised autocorrelation; the values that Boersma's paper and Praat use.
_VOICING_THRESHOLD, _SILENCE_THRESHOLD = 0.45, 0.03
_OCTAVE_COST, _JUMP_COST, _VOICING_COST = 0.02, 0.35, 0.14
_CANDIDATES = 5


@dataclass(frozen=True)
class PitchConfig:
    """Search range in Hz and the rate at which the search runs."""

    lowest_hz: float = 90.0
    highest_hz: float = 450.0
    analysis_rate: int = 12000


def track_pitch(waveform: Tensor, sample_rate: int, hop: int, config: PitchConfig) -> Tensor:
    """Float32 [samples] -> float32 [samples // hop]: frequency in Hz, zero where unvoiced.

    Frame k is centred at sample `k * hop + hop / 2`, as are the log-mel frames.
    """
    frames = len(waveform) // hop
    if not frames:
        return torch.zeros(0)
    audio = torchaudio.functional.resample(waveform, sample_rate, config.analysis_rate)
    strengths, lags, loudness = _candidates(audio, frames, hop * config.analysis_rate / sample_rate, config)
    return torch.from_numpy(_best_path(strengths, config.analysis_rate / lags, loudness, config)).float()


def cached_pitch(name: str, waveform: Tensor, sample_rate: int, hop: int, config: PitchConfig, cache: Path) -> Tensor:
    """`track_pitch` of a named clip, kept in `cache` for the next run."""
    folder = cache / f"pitch_{sample_rate}_{hop}_{config.lowest_hz:g}-{config.highest_hz:g}Hz"
    path = folder / f"{name}.npy"
    if path.exists():
        return torch.from_numpy(np.load(path))
    pitch = track_pitch(waveform, sample_rate, hop, config)
    folder.mkdir(parents=True, exist_ok=True)
    with files.writing(path) as file:
        np.save(file, pitch.numpy())
    return pitch


def _frames(audio: Tensor, count: int, hop: float, size: int) -> Tensor:
    centres = ((torch.arange(count) + 0.5) * hop).round().long()
    padded = nn.functional.pad(audio, (size, size))
    return padded[(centres + size - size // 2)[:, None] + torch.arange(size)]


def _candidates(
    audio: Tensor, count: int, hop: float, config: PitchConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Strengths and lags [frames, candidates] of the best autocorrelation peaks, and relative loudness [frames]."""
    size = int(3 * config.analysis_rate / config.lowest_hz)
    frames = _frames(audio, count, hop, size)
    frames = frames - frames.mean(1, keepdim=True)
    loudness = frames.abs().amax(1) / audio.abs().max().clamp_min(1e-6)
    window = torch.hann_window(size, periodic=False)
    n_fft = 1 << (2 * size - 1).bit_length()
    correlation = torch.fft.irfft(torch.fft.rfft(frames * window, n_fft).abs().square(), n_fft)
    correction = torch.fft.irfft(torch.fft.rfft(window, n_fft).abs().square(), n_fft)
    shortest = int(config.analysis_rate / config.highest_hz)
    longest = math.ceil(config.analysis_rate / config.lowest_hz)
    ratio = correlation[:, : longest + 2] / correlation[:, :1].clamp_min(1e-9)
    strength, lag = _peaks(ratio / (correction / correction[0])[: longest + 2], shortest)
    return strength.double().numpy(), lag.double().numpy(), loudness.double().numpy()


def _peaks(correlation: Tensor, shortest: int) -> tuple[Tensor, Tensor]:
    """Local maxima beyond `shortest`, refined by a parabola: strengths and lags [frames, candidates]."""
    left, middle, right = correlation[:, shortest - 1 : -2], correlation[:, shortest:-1], correlation[:, shortest + 1 :]
    is_peak = (middle > left) & (middle >= right)
    height, index = torch.where(is_peak, middle, torch.full_like(middle, -1.0)).topk(_CANDIDATES, dim=1)
    a, b, c = (part.gather(1, index) for part in (left, middle, right))
    offset = (0.5 * (a - c) / (a - 2 * b + c).clamp_max(-1e-6)).clamp(-0.5, 0.5)
    return height.clamp_max(1.0), index + shortest + offset


def _best_path(
    strengths: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    loudness: NDArray[np.float64],
    config: PitchConfig,
) -> NDArray[np.float64]:
    """Viterbi over the candidates and "unvoiced" (the last column): frequencies [frames], zero where unvoiced."""
    quiet = np.maximum(0.0, 2 - loudness / _SILENCE_THRESHOLD * (1 + _VOICING_THRESHOLD))
    voiced = strengths + _OCTAVE_COST * np.log2(frequencies / config.lowest_hz)
    voiced = np.where(strengths > 0, voiced, -9.0)
    scores = np.concatenate([voiced, (_VOICING_THRESHOLD + quiet)[:, None]], axis=1)
    octaves = np.concatenate([np.log2(frequencies), np.full((len(scores), 1), np.nan)], axis=1)
    total, back = scores[0], np.zeros(scores.shape, dtype=np.int64)
    for t in range(1, len(scores)):
        distance = np.abs(octaves[t - 1][:, None] - octaves[t][None, :])
        cost = np.where(np.isnan(distance), _VOICING_COST, _JUMP_COST * distance)
        cost[-1, -1] = 0.0
        reached = total[:, None] - cost
        back[t] = reached.argmax(0)
        total = reached.max(0) + scores[t]
    path = np.zeros(len(scores), dtype=np.int64)
    path[-1] = int(total.argmax())
    for t in range(len(scores) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    chosen = np.concatenate([frequencies, np.zeros((len(scores), 1))], axis=1)
    return chosen[np.arange(len(scores)), path]
