"""Trains the model that says words which a lexicon lacks, on the words that it has."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from spear_accel.errors import UserError
from spear_accel.storage.weights import CONFIG, read_config
from spear_accel.text.phonemes.guesser import FRAMES, PAD, Guesser, GuesserConfig, letter_ids
from spear_accel.text.phonemes.lexicon import Lexicon
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.settings import AtLeastOne, Settings, build, read_sections
from spear_accel.training.loop.trainer import load_modules, run
from spear_accel.training.text_to_semantic.ctc import CtcOptions, CtcTask, Pair

__all__ = ["PronunciationData", "held_out_words", "load_trained", "train"]

NAME = "guesser"


@dataclass(frozen=True)
class PronunciationData:
    """The `data` section."""

    lexicon: str
    """File of a `Lexicon`."""
    validation: AtLeastOne = 2000
    """Words that training never sees."""
    batch_letters: AtLeastOne = 4000
    """Padded letters in a batch."""
    seed: int = 0
    """Chooses those words."""


def held_out_words(lexicon: Lexicon, data: PronunciationData) -> set[str]:
    """The words of the validation, in lower case; no form of them is trained on."""
    words = sorted({word.lower() for word, _ in lexicon if letter_ids(word)})
    if len(words) <= data.validation:
        raise UserError(f"{data.lexicon}: {len(words)} words are too few to hold {data.validation} out")
    return set(random.Random(data.seed).sample(words, data.validation))


def train(settings: Settings) -> dict[str, float]:
    """Trains from settings with the sections `data`, `model` and `loop` and an `output` folder.

    Returns:
        Metrics of the last validation: `loss` and `phoneme_error_rate`, stress marks counted as phonemes.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    given = read_sections(settings, ("data",), ("model",))
    data, loop = given.build(PronunciationData, "data"), given.build(LoopConfig, "loop")
    lexicon = Lexicon.load(data.lexicon)
    shape = build(
        GuesserConfig, {**(given.values.get("model") or {}), "symbols": lexicon.symbols}, f"{given.place}, model"
    )
    held_out = held_out_words(lexicon, data)
    training: list[Pair] = []
    validation: list[Pair] = []
    for word, entry in lexicon:
        if letter_ids(word):
            (validation if word.lower() in held_out else training).append(_pair(word, entry.phonemes, shape.symbols))
    torch.manual_seed(loop.seed)
    task = CtcTask(
        Guesser(shape), CtcOptions(NAME, PAD, data.batch_letters, "phoneme_error_rate", FRAMES), training, validation
    )
    return run(task, loop, given.output, asdict(shape), given.values)


def load_trained(folder: Path) -> Guesser:
    """The newest model of a training folder, in evaluation mode.

    Raises:
        UserError: The folder holds none.
    """
    weights = load_modules(folder)
    if NAME not in weights or not (folder / CONFIG).is_file():
        raise UserError(f"{folder} holds no pronunciation model; train one with: spear-accel train pronunciation")
    guesser = Guesser(build(GuesserConfig, read_config(folder), f"{folder / CONFIG}"))
    guesser.load_state_dict(weights[NAME])
    return guesser.eval()


def _pair(word: str, phonemes: str, symbols: str) -> Pair:
    return torch.tensor(letter_ids(word)), torch.tensor([symbols.index(symbol) + 1 for symbol in phonemes])
