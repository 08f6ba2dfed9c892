"""Phonemes in place of letters: a lexicon, a model for words that it lacks, and the tokenizer that makes ids of both.

Knows English spelling where words are taken apart; the lexicon and its symbols may be of any language.
"""

from spear_accel.text.phonemes.guesser import Guesser, GuesserConfig
from spear_accel.text.phonemes.lexicon import Entry, Lexicon
from spear_accel.text.phonemes.tokenizer import PhonemeTokenizer

__all__ = ["Entry", "Guesser", "GuesserConfig", "Lexicon", "PhonemeTokenizer"]
