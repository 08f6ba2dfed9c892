"""Tiny acoustic networks with enough signal in them that wrong context would show."""

from __future__ import annotations

import pytest
import torch

from spear_accel.acoustic import LogMelConfig, MelDecoder, MelDecoderConfig, NeuralAcousticStage, Vocoder, VocoderConfig

UNITS = 40


def lively(module: torch.nn.Module) -> torch.nn.Module:
    """Let every residual branch count, as it does after training."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("scale"):
                parameter.fill_(0.5)
    return module.eval()


@pytest.fixture
def mel() -> LogMelConfig:
    return LogMelConfig()


@pytest.fixture
def mel_decoder(mel: LogMelConfig) -> MelDecoder:
    torch.manual_seed(1)
    config = MelDecoderConfig(
        UNITS, 50, width=24, hidden=32, token_blocks=2, frame_blocks=2, pitch_width=12, pitch_blocks=2
    )
    return lively(MelDecoder(config, mel))


@pytest.fixture
def vocoder(mel: LogMelConfig) -> Vocoder:
    torch.manual_seed(2)
    return lively(Vocoder(VocoderConfig(width=24, hidden=32, blocks=3), mel))


@pytest.fixture
def stage(mel_decoder: MelDecoder, vocoder: Vocoder) -> NeuralAcousticStage:
    return NeuralAcousticStage(mel_decoder, vocoder)
