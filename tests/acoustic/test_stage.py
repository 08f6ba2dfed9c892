"""The stage as the pipeline sees it: batch, stream, speed, fallback, bad input."""

from __future__ import annotations

import pytest
import torch

from spear_accel.acoustic import AcousticStage, GriffinLimStage, MelDecoder, NeuralAcousticStage
from spear_accel.errors import UserError


def tokens_of(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.randint(0, 40, (len(lengths), max(lengths))), torch.tensor(lengths)


def test_stages_fulfil_the_interface(stage: NeuralAcousticStage, mel_decoder: MelDecoder) -> None:
    assert isinstance(stage, AcousticStage) and isinstance(GriffinLimStage(mel_decoder), AcousticStage)
    assert (stage.sample_rate, stage.num_tokens, stage.frame_rate) == (24000, 40, 50)


def test_lengths_and_silence_behind_a_row(stage: NeuralAcousticStage) -> None:
    tokens, lengths = tokens_of(30, 12)
    waveform, samples = stage(tokens, lengths)
    assert waveform.dtype == torch.float32 and waveform.shape == (2, 30 * 480)
    assert samples.tolist() == [30 * 480, 12 * 480]
    assert waveform[1, : 12 * 480].abs().max() > 0 and not waveform[1, 12 * 480 :].any()


@pytest.mark.parametrize("kind", ["neural", "griffin-lim"])
@pytest.mark.parametrize("speed", [1.0, 0.8, 1.7])
def test_a_row_does_not_depend_on_its_batch_mates(
    kind: str, speed: float, stage: NeuralAcousticStage, mel_decoder: MelDecoder
) -> None:
    chosen = stage if kind == "neural" else GriffinLimStage(mel_decoder, iterations=3)
    tokens, lengths = tokens_of(40, 23, 2)
    together, samples = chosen(tokens, lengths, speed)
    for row, length in enumerate(lengths.tolist()):
        alone, _ = chosen(tokens[row : row + 1, :length], lengths[row : row + 1], speed)
        torch.testing.assert_close(together[row, : samples[row]], alone[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["neural", "griffin-lim"])
@pytest.mark.parametrize("speed", [1.0, 0.6, 1.5])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_stream_equals_whole(
    kind: str, speed: float, chunk: int, stage: NeuralAcousticStage, mel_decoder: MelDecoder
) -> None:
    chosen = stage if kind == "neural" else GriffinLimStage(mel_decoder, iterations=3)
    tokens, lengths = tokens_of(150)
    whole, _ = chosen(tokens, lengths, speed)
    pieces = list(chosen.stream(tokens[0].split(chunk), speed))
    joined = torch.cat(pieces)
    assert joined.shape == whole[0].shape
    torch.testing.assert_close(joined, whole[0], atol=1e-4, rtol=0)
    assert len(pieces) > 1


def test_stream_speaks_before_the_text_ends(stage: NeuralAcousticStage) -> None:
    taken = 0

    def chunks() -> object:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield torch.zeros(10, dtype=torch.long)

    next(iter(stage.stream(chunks())))  # type: ignore[arg-type]
    assert taken < 20


def test_a_stream_of_nothing_is_silent(stage: NeuralAcousticStage) -> None:
    assert list(stage.stream([])) == []
    assert list(stage.stream([torch.zeros(0, dtype=torch.long)])) == []


@pytest.mark.parametrize(("speed", "frames"), [(0.5, 80), (1.0, 40), (1.25, 32), (2.0, 20)])
def test_speed_divides_the_length(speed: float, frames: int, stage: NeuralAcousticStage) -> None:
    tokens, lengths = tokens_of(20)
    waveform, samples = stage(tokens, lengths, speed)
    assert samples.tolist() == [frames * 240] and waveform.shape == (1, frames * 240)


@pytest.mark.parametrize("speed", [0.0, 0.49, 2.1, float("nan")])
def test_odd_speeds_are_refused(speed: float, stage: NeuralAcousticStage) -> None:
    with pytest.raises(UserError, match=r"between 0\.5 and 2"):
        stage(*tokens_of(5), speed)
    with pytest.raises(UserError, match="speed"):
        stage.stream([torch.zeros(5, dtype=torch.long)], speed)


def test_tokens_of_another_voice_are_refused(stage: NeuralAcousticStage) -> None:
    with pytest.raises(UserError, match=r"0\.\.39"):
        stage(torch.tensor([[3, 40]]), torch.tensor([2]))
    with pytest.raises(UserError, match="no tokens"):
        stage(torch.tensor([[3, 4], [1, 1]]), torch.tensor([2, 0]))
    padded = torch.tensor([[3, 4], [1, -1]])
    assert stage(padded, torch.tensor([2, 1]))[1].tolist() == [960, 480]
