"""English text to token ids: normalise, split into utterances, tokenize. Knows nothing about models or sound."""

from spear_accel.text.normalise import Normalised, normalise
from spear_accel.text.segment import paragraphs, segment
from spear_accel.text.tokenizer import TextTokenizer, TokenizerConfig

__all__ = ["Normalised", "TextTokenizer", "TokenizerConfig", "normalise", "paragraphs", "segment"]
