"""Semantic tokens to sound: log-mel front end, mel decoder, vocoder and the stage that joins them."""

from spear_accel.acoustic.mel import LogMel, LogMelConfig
from spear_accel.acoustic.mel_decoder import MelDecoder, MelDecoderConfig
from spear_accel.acoustic.registry import load_stage, save_stage, stage_names
from spear_accel.acoustic.stage import AcousticStage, GriffinLimStage, MelStage, NeuralAcousticStage
from spear_accel.acoustic.vocoder import Vocoder, VocoderConfig

__all__ = [
    "AcousticStage",
    "GriffinLimStage",
    "LogMel",
    "LogMelConfig",
    "MelDecoder",
    "MelDecoderConfig",
    "MelStage",
    "NeuralAcousticStage",
    "Vocoder",
    "VocoderConfig",
    "load_stage",
    "save_stage",
    "stage_names",
]
