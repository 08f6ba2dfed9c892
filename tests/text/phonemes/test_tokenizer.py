"""Phonemes as ids: every symbol once, the folder, own pronunciations, faults; and the guesser behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spear_accel.errors import UserError
from spear_accel.text.phonemes import Entry, Guesser, GuesserConfig, Lexicon, PhonemeTokenizer
from spear_accel.text.phonemes.guesser import FRAMES, letter_ids


@pytest.fixture
def tokenizer() -> PhonemeTokenizer:
    torch.manual_seed(0)
    lexicon = Lexicon({"hello": Entry("həlˈO"), "world": Entry("wˈɜɹld"), "the": Entry("ði")})
    guesser = Guesser(GuesserConfig(lexicon.symbols, width=8, layers=1, dropout=0.0)).eval()
    return PhonemeTokenizer(lexicon, guesser)


def test_ids_say_the_phonemes(tokenizer: PhonemeTokenizer) -> None:
    ids = tokenizer.encode("Hello, the world.")
    assert tokenizer.decode(ids) == tokenizer.pronounce("Hello, the world.") == "həlˈO, ðə wˈɜɹld."
    assert min(ids) > 1
    assert max(ids) < tokenizer.vocab_size
    assert len({tokenizer.decode([id]) for id in range(2, tokenizer.vocab_size)}) == tokenizer.vocab_size - 2
    assert tokenizer.encode("") == []
    spans = tokenizer.spans("Hello, the world.")
    assert len(spans) == len(ids)
    assert sorted(set(spans)) == [(0, 5), (5, 6), (7, 10), (11, 16), (16, 17)]
    assert tokenizer.decode([0, 1, 10_000]) == ""


def test_folder_round_trip(tokenizer: PhonemeTokenizer, tmp_path: Path) -> None:
    tokenizer.guesser.half().float()  # as the file keeps it
    tokenizer.save(tmp_path / "phonemes")
    again = PhonemeTokenizer.load(tmp_path / "phonemes")
    assert again.symbols == tokenizer.symbols
    assert again.encode("Hello, unheard words?") == tokenizer.encode("Hello, unheard words?")
    (tmp_path / "phonemes" / "symbols.json").write_text("{}")
    with pytest.raises(UserError, match=r"symbols\.json: lacks symbols"):
        PhonemeTokenizer.load(tmp_path / "phonemes")


def test_own_pronunciations(tokenizer: PhonemeTokenizer) -> None:
    own = (
        tokenizer.respelled({"world": "wˈɔɹlə"}) if "ɔ" in tokenizer.symbols else tokenizer.respelled({"world": "wˈɹl"})
    )
    assert own.pronounce("world") != tokenizer.pronounce("world") == "wˈɜɹld"
    assert own.vocab_size == tokenizer.vocab_size
    with pytest.raises(UserError, match="world: # is no phoneme"):
        tokenizer.respelled({"world": "w#"})


def test_guesses_do_not_depend_on_padding(tokenizer: PhonemeTokenizer) -> None:
    short, long = torch.tensor([letter_ids("cat")]), torch.tensor([letter_ids("cathedral's")])
    together = tokenizer.guesser(torch.cat([torch.nn.functional.pad(short, (0, long.shape[1] - 3)), long]))
    torch.testing.assert_close(together[:1, : 3 * FRAMES], tokenizer.guesser(short))
    torch.testing.assert_close(together[1:], tokenizer.guesser(long))
    assert tokenizer.guesser.guess("?!") == ""
    assert letter_ids("a-B'z") == [1, 2, 27, 26]
