"""Utterances whose tokens are pushed in sound as those whose tokens are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spear_accel import Voice
from spear_accel.decoding import DecodeStats, RequestOutput, RequestResult
from spear_accel.text.plan import PlannedUtterance
from spear_accel.voice.pushed import PushedUtterance
from tests.voice.test_streaming import Beeps

ONE = PlannedUtterance("One.", 0.25, ("a note",))


@pytest.fixture(scope="module")
def voice(shared_voice: Path) -> Voice:
    return Voice.load(shared_voice)


def outputs(tokens: torch.Tensor, sizes: list[int]) -> list[RequestOutput]:
    parts = list(tokens.split(sizes))
    stats = DecodeStats(3, 3, 0, 0, len(tokens), 0.1)
    result = RequestResult(tokens, "eos", 9, 1, stats)
    return [RequestOutput(0, 0, part, result if n == len(parts) - 1 else None) for n, part in enumerate(parts)]


@pytest.mark.parametrize("speed", [1.0, 0.6, 1.9])
@pytest.mark.parametrize("sizes", [[90], [25, 50, 15], [1] * 90, [60, 30, 0]])
def test_joined_the_pieces_are_the_whole(voice: Voice, sizes: list[int], speed: float) -> None:
    assert voice.acoustic is not None
    tokens = torch.arange(90) % 20
    pushed = PushedUtterance(ONE, voice.acoustic, speed, samples=7)
    pieces = [piece for output in outputs(tokens, sizes) if (piece := pushed.push(output)) is not None]
    wanted = voice.sound([ONE], [tokens], speed)
    torch.testing.assert_close(torch.cat([piece.waveform for piece in pieces]), wanted, atol=1e-5, rtol=0)
    assert torch.equal(torch.cat([piece.tokens for piece in pieces]), tokens)
    assert [len(piece.utterances) for piece in pieces] == [0] * (len(pieces) - 1) + [1]
    assert pieces[-1].warnings == ("a note",) and pushed.samples == 7 + len(wanted)


def test_stages_that_only_stream_sound_when_all_tokens_are_there() -> None:
    pushed = PushedUtterance(PlannedUtterance("One.", 0.0, ()), Beeps(), 1.0, 0)
    pieces = [pushed.push(output) for output in outputs(torch.tensor([1, 2, 3]), [1, 1, 1])]
    assert pieces[:2] == [None, None] and pieces[2] is not None
    assert pieces[2].waveform.tolist() == [1, 1, 2, 2, 3, 3] and pieces[2].tokens.tolist() == [1, 2, 3]


def test_nothing_said_is_silence(voice: Voice) -> None:
    assert voice.acoustic is not None
    [output] = outputs(torch.zeros(0, dtype=torch.int64), [0])
    piece = PushedUtterance(ONE, voice.acoustic, 1.0, 0).push(output)
    assert piece is not None and len(piece.waveform) == 6000 and "said nothing" in piece.warnings[1]
