"""The text-to-semantic encoder-decoder and its decoding state."""

from spear_accel.model.backend import SkipSet
from spear_accel.model.cache import CrossCache, DecoderState, KeyValueCache, TreeMask
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.decoder import Memory
from spear_accel.model.text_to_semantic import TextToSemantic

__all__ = [
    "CrossCache",
    "DecoderState",
    "KeyValueCache",
    "Memory",
    "SkipSet",
    "TextToSemantic",
    "TextToSemanticConfig",
    "TreeMask",
]
