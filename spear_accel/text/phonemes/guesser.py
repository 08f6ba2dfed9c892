"""Guesses how a word is said that the lexicon lacks: a small recurrent network with CTC, from letters to phonemes.

Every letter has three frames, so that it can say up to three symbols (the ``o`` of "one" says two and a stress mark);
CTC (Graves et al. 2006) aligns. Knows words, letter by letter. Does not know lexica or sentences.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from spear_accel.checks import check_fields
from spear_accel.errors import UserError
from spear_accel.storage.fitting import build_to_fit
from spear_accel.storage.weights import CONFIG, WEIGHTS, read_config, read_tensors, save_module

__all__ = ["FRAMES", "PAD", "Guesser", "GuesserConfig", "letter_ids"]

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
FRAMES = 3
"""Frames of each letter."""
PAD = 0


@dataclass(frozen=True)
class GuesserConfig:
    """Shape of a `Guesser`."""

    symbols: str
    """The phonemes and stress marks that it may write, one character each."""
    width: int = 192
    layers: int = 2
    dropout: float = 0.1


class Guesser(nn.Module):
    """Letters to logits of phonemes; class 0 is CTC's blank."""

    def __init__(self, config: GuesserConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(len(LETTERS) + 1, config.width, padding_idx=PAD)
        self.layers = nn.GRU(
            config.width, config.width, config.layers, batch_first=True, bidirectional=True, dropout=config.dropout
        )
        self.head = nn.Linear(2 * config.width, FRAMES * (len(config.symbols) + 1))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids [B, S] of `letter_ids`, padded with 0 -> logits [B, S * FRAMES, symbols + 1]."""
        lengths = (ids != PAD).sum(dim=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = nn.utils.rnn.pad_packed_sequence(
            self.layers(packed)[0], batch_first=True, total_length=ids.shape[1]
        )
        logits: Tensor = rearrange(self.head(hidden), "b s (r v) -> b (s r) v", r=FRAMES)
        return logits

    @torch.inference_mode()
    def guess(self, word: str) -> str:
        """The most likely phonemes of a word; none for a word without letters."""
        ids = letter_ids(word)
        if not ids:
            return ""
        best = self(torch.tensor([ids]))[0].argmax(dim=-1).unique_consecutive()
        return "".join(self.config.symbols[index - 1] for index in best.tolist() if index)

    @classmethod
    def load(cls, folder: str | Path) -> Guesser:
        """Read `config.json` and `model.safetensors` of a folder, in evaluation mode.

        Raises:
            UserError: A file is missing or damaged.
        """
        values = read_config(folder)
        check_fields(GuesserConfig, values, str(Path(folder) / CONFIG))
        try:
            config = GuesserConfig(**values)
        except TypeError as error:
            raise UserError(f"{Path(folder) / CONFIG}: not a pronunciation model ({error})") from error
        path = Path(folder) / WEIGHTS
        return build_to_fit(lambda: cls(config), read_tensors(path), f"{path}: does not fit its {CONFIG}").eval()

    def save(self, folder: str | Path) -> None:
        """Write the folder, weights in half precision."""
        save_module(self, asdict(self.config), folder)


def letter_ids(word: str) -> list[int]:
    """What a `Guesser` reads of a word; what is no letter is left out."""
    return [1 + LETTERS.index(letter) for letter in word.lower() if letter in LETTERS]
