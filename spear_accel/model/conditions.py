"""Language and speaking rate: text ids in front of a text that choose a vector each.

The language is added to what the encoder reads, the rate to what the decoder reads (WhisperSpeech). As ids they travel
wherever a text does: through batches, samples and draft models. Knows nothing about words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spear_accel.model.config import TextToSemanticConfig

__all__ = ["Conditions", "chosen_in_front"]


class Conditions(nn.Module):
    """Tables of languages and rates, and which of their rows a text asks for."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.language = nn.Embedding(config.languages, config.dim) if config.languages else None
        self.rate = nn.Embedding(config.speaking_rates, config.dim) if config.speaking_rates else None

    def forward(self, text: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Text ids [B, X], in front of which each row may choose -> the texts alone [B, X'], padded; what their
        language adds to every one of their ids, and their rate to every semantic token [B, 1, D], None where the model
        has no such table.
        """
        config = self.config
        chosen = text >= config.letters
        languages = chosen & (text < config.letters + config.languages)
        rates = chosen & ~languages
        language = self._chosen(text - config.letters, languages, config.default_language)
        rate = self._chosen(text - config.letters - config.languages, rates, config.default_rate)
        spoken = None if self.language is None else self.language(language)[:, None]
        added = None if self.rate is None else self.rate(rate)[:, None]
        return self._left_aligned(text, chosen), spoken, added

    @staticmethod
    def _chosen(numbers: Tensor, where: Tensor, default: int) -> Tensor:
        """The number [B] at the one place of each row that `where` [B, X] marks."""
        return torch.where(where.any(dim=1), numbers.masked_fill(~where, 0).sum(dim=1), default)

    def _left_aligned(self, text: Tensor, chosen: Tensor) -> Tensor:
        """Without what is `chosen`; rows that then are shorter are padded."""
        counts = chosen.sum(dim=1)
        if not int(counts.max()):
            return text
        width = text.shape[1] - int(counts.min())
        places = torch.arange(width, device=text.device) + counts[:, None]
        inside = places < text.shape[1]
        shifted = text.gather(1, places.clamp_max(text.shape[1] - 1))
        return torch.where(inside, shifted, self.config.text_pad_id)


def chosen_in_front(
    config: TextToSemanticConfig, text: Tensor, language: Tensor | int | None, cps: Tensor | float | None
) -> Tensor:
    """Text ids [B, X] behind the ids that choose languages and rates, each of all rows or [B], where they are given."""
    for given, id_of in ((cps, config.rate_id), (language, config.language_id)):
        if given is not None:
            values = torch.as_tensor(given).expand(len(text)).tolist()
            ids = torch.tensor([id_of(value) for value in values], device=text.device)
            text = torch.cat((ids[:, None], text), dim=1)
    return text
