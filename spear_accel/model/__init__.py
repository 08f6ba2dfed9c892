"""The text-to-semantic encoder-decoder and its decoding state."""

from spear_accel.model.cache import Branching, CrossCache, DecoderState, KeyValueCache
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.decoder import Memory
from spear_accel.model.text_to_semantic import TextToSemantic

__all__ = [
    "Branching",
    "CrossCache",
    "DecoderState",
    "KeyValueCache",
    "Memory",
    "TextToSemantic",
    "TextToSemanticConfig",
]
