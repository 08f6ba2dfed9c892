"""A voice that reads phonemes: kept in its folder, loaded, spoken with."""

from __future__ import annotations

from pathlib import Path

import torch

from spear_accel import Voice
from spear_accel.data.pairs import TextReader
from spear_accel.text.phonemes import Entry, Guesser, GuesserConfig, Lexicon, PhonemeTokenizer
from spear_accel.voice import components
from spear_accel.voice.folder import PHONEMES, TOKENIZER, open_voice, seal


def phonemes(vocab_size: int) -> PhonemeTokenizer:
    """With as many ids as the tiny voice's model has letters."""
    torch.manual_seed(0)
    lexicon = Lexicon({"two": Entry("tˈu"), "cats": Entry("kˈæts"), "doctor": Entry("dˈɑktəɹ")})
    guesser = Guesser(GuesserConfig(lexicon.symbols, width=8, layers=1, dropout=0.0)).eval()
    plain = PhonemeTokenizer(lexicon, guesser)
    spare = "".join(map(chr, range(0x370, 0x370 + vocab_size - plain.vocab_size)))
    return PhonemeTokenizer(lexicon, guesser, plain.symbols + spare)


def test_a_voice_reads_phonemes(tiny_voice: Path) -> None:
    folder = open_voice(tiny_voice)
    letters = components.load_text_tokenizer(folder)
    (tiny_voice / TOKENIZER).unlink()
    components.save_text_tokenizer(phonemes(letters.vocab_size), tiny_voice)
    sealed = seal(tiny_voice, folder.card)
    assert {name for name in sealed.card.files if name.startswith(PHONEMES)} == {
        f"{PHONEMES}/{name}" for name in ("config.json", "lexicon.txt.gz", "model.safetensors", "symbols.json")
    }
    voice = Voice.load(tiny_voice)
    assert isinstance(voice.tokenizer, PhonemeTokenizer)
    assert voice.tokenizer.pronounce("doctor, two cats") == "dˈɑktəɹ, tˈu kˈæts"
    assert voice.text_ids("Dr. 2 cats.") == [TextReader(voice.tokenizer).ids("doctor two cats.")]
    assert len(voice.speak("Two cats.", seed=0).waveform) > 0
