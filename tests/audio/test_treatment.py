"""Loudness by the standard's measure, sample rates whole and in pieces, peaks below full scale."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from spear_accel.audio.treatment import Treatment, levelled
from spear_accel.errors import UserError

RATE = 24_000


def speech(seconds: float = 2.0) -> np.ndarray:
    """Tones under an envelope with silences, as speech has them."""
    time = np.arange(int(seconds * RATE)) / RATE
    tones = np.sin(2 * np.pi * 180 * time) + 0.4 * np.sin(2 * np.pi * 1900 * time)
    return (0.05 * tones * np.clip(np.sin(2 * np.pi * 1.5 * time), 0, 1)).astype(np.float32)


class Pieces(list[np.ndarray]):
    def write(self, samples: np.ndarray) -> None:
        self.append(samples)

    @property
    def whole(self) -> np.ndarray:
        return np.concatenate(self)


@pytest.mark.parametrize("target", [-30.0, -23.0, -16.0])
def test_loudness_is_what_another_meter_finds(target: float) -> None:
    found = pyloudnorm.Meter(RATE).integrated_loudness(levelled(speech(), RATE, target).astype(np.float64))
    assert abs(found - target) < 0.1


def test_no_peak_is_driven_over_full_scale_and_silence_stays() -> None:
    loud = levelled(speech(), RATE, -5.0)
    assert 0.88 < np.abs(loud).max() <= 0.8914
    for silent in (np.zeros(0, np.float32), np.zeros(50, np.float32), np.zeros(RATE, np.float32)):
        assert np.array_equal(levelled(silent, RATE, -23.0), silent)
    assert np.isfinite(levelled(speech(0.3), RATE, -23.0)).all()


@pytest.mark.parametrize("wanted", [8000, 16_000, 22_050, 48_000])
def test_another_rate_in_pieces_is_the_same_as_whole(wanted: int) -> None:
    treatment, pieces, samples = Treatment(sample_rate=wanted), Pieces(), speech()
    whole = treatment.whole(samples, RATE)
    assert abs(len(whole) - len(samples) * wanted / RATE) <= 1
    with treatment.onto(pieces, RATE) as sink:
        for part in np.array_split(samples, 7):
            sink.write(part)
    assert abs(len(pieces.whole) - len(whole)) <= 1
    both = min(len(whole), len(pieces.whole))
    np.testing.assert_allclose(pieces.whole[:both], whole[:both], atol=1e-4)


def test_loudness_waits_for_the_end_and_nothing_changes_nothing() -> None:
    pieces, samples = Pieces(), speech()
    with Treatment(loudness=-23, sample_rate=16_000).onto(pieces, RATE) as sink:
        sink.write(samples[:1000])
        assert not pieces
        sink.write(samples[1000:])
    np.testing.assert_array_equal(pieces.whole, Treatment(16_000, -23.0).whole(samples, RATE))
    with Treatment().onto(pieces, RATE) as sink:
        assert sink is pieces
    assert Treatment().whole(samples, RATE) is samples


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sample_rate": 100}, "--sample-rate must be a whole number of at least 4000"),
        ({"sample_rate": 10**6}, "at most 192000"),
        ({"loudness": 3.0}, "--loudness must be between -70 and -5"),
        ({"loudness": float("nan")}, "--loudness"),
    ],
)
def test_wrong_wishes(fields: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Treatment(**fields)  # type: ignore[arg-type]
