"""Training of the model for words that a lexicon lacks: a spelling rule is learned, words are held out."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from spear_accel.errors import UserError
from spear_accel.text.phonemes import Entry, Lexicon
from spear_accel.training.pronunciation import PronunciationData, held_out_words, load_trained, train

SOUNDS = {"a": "ɑ", "b": "b", "x": "ks", "o": "O"}


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    words = ("".join(letters) for n in (2, 3, 4) for letters in itertools.product(SOUNDS, repeat=n))
    Lexicon({word: Entry("".join(SOUNDS[letter] for letter in word)) for word in words}).save(tmp_path / "l.txt.gz")
    return tmp_path / "l.txt.gz"


def settings(lexicon: Path, steps: int) -> dict[str, Any]:
    return {
        "output": str(lexicon.parent / "run"),
        "data": {"lexicon": str(lexicon), "validation": 20, "batch_letters": 300},
        "model": {"width": 24, "layers": 1, "dropout": 0.0},
        "loop": {"steps": steps, "learning_rate": 0.02, "warmup_steps": 5, "precision": "no", "save_every": steps},
    }


def test_a_spelling_rule_is_learned(lexicon: Path) -> None:
    metrics = train(settings(lexicon, 120))
    assert metrics["phoneme_error_rate"] < 0.1
    guesser = load_trained(lexicon.parent / "run")
    said = [guesser.guess("".join(word)) for word in itertools.product(SOUNDS, repeat=5)]
    right = ["".join(SOUNDS[letter] for letter in word) for word in itertools.product(SOUNDS, repeat=5)]
    assert sum(a == b for a, b in zip(said, right, strict=True)) > 0.6 * len(right)


def test_no_form_of_a_held_out_word_is_trained_on() -> None:
    own = Lexicon({f"{first}{second}": Entry("a") for first in "aAbB" for second in "abcdefgh"})
    chosen = held_out_words(own, PronunciationData("file", validation=6))
    assert len(chosen) == 6
    assert all(word == word.lower() for word in chosen)
    assert chosen == held_out_words(own, PronunciationData("file", validation=6))
    with pytest.raises(UserError, match="file: 16 words are too few"):
        held_out_words(own, PronunciationData("file", validation=16))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training checkpoint"):
        load_trained(tmp_path)
