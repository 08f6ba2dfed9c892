"""Text to token ids: a front end for the language, utterances, a tokenizer. Knows nothing about models or sound."""

from spear_accel.text.english import English, EnglishOptions, tokenise
from spear_accel.text.front_end import FrontEnd, Normalised, SpokenWord, front_end_for
from spear_accel.text.normalise import normalise
from spear_accel.text.segment import paragraphs, segment
from spear_accel.text.tokenizer import TextTokenizer, TokenizerConfig

__all__ = [
    "English",
    "EnglishOptions",
    "FrontEnd",
    "Normalised",
    "SpokenWord",
    "TextTokenizer",
    "TokenizerConfig",
    "front_end_for",
    "normalise",
    "paragraphs",
    "segment",
    "tokenise",
]
