"""What an importer is: options in, an imported model out. The importers themselves are one file a layout.

`registry` finds an importer by its layout, `write` makes a voice folder of what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.text.raw import ByteTokenizer, IdTokenizer
from spear_accel.text.tokenizers import AnyTokenizer, load_tokenizer
from spear_accel.voice.folder import VoiceCard

__all__ = ["ImportOptions", "Imported", "Importer", "card_of", "make_tokenizer"]

_OF_A_LAYOUT = ("text_tokenizer", "heads", "head_dim", "early_exit_layer", "cps")


@dataclass(frozen=True)
class ImportOptions:
    """What the user says about a checkpoint. None stands for what the file or its layout says."""

    text_tokenizer: str | None = None
    """How texts become ids: a SentencePiece file, "bytes" or "ids"."""
    heads: int | None = None
    """Attention heads."""
    head_dim: int | None = None
    """Channels of an attention head."""
    early_exit_layer: int | None = None
    """Decoder layer, from 1, that the checkpoint's early exit follows."""
    cps: float | None = None
    """Speaking rate in characters a second."""
    language: str = "en"
    """Code of the language of the texts."""
    licence: str = "unknown"
    frame_rate: float | None = None
    """Semantic tokens a second."""

    def __post_init__(self) -> None:
        if self.frame_rate is not None and not self.frame_rate > 0.0:
            raise UserError(f"--frame-rate {self.frame_rate:g}: must be above 0")


@dataclass(frozen=True)
class Imported:
    """A model of another package as this package runs it: what `write.save_voice` makes a voice of."""

    model: TextToSemantic
    tokenizer: AnyTokenizer
    card: VoiceCard
    heads: tuple[nn.Module, ...] = ()
    """Draft heads that came with the model."""
    exit_layer: int | None = None
    """Decoder layer, from 1, that the early exit among `heads` follows."""
    decoding: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `DecodeOptions` that the voice decodes with unless somebody says otherwise."""
    notes: tuple[str, ...] = ()
    """What of the checkpoint was left out, for people."""


@dataclass(frozen=True)
class Importer:
    """Reads the checkpoints of one layout."""

    layout: str
    """Name on the command line."""
    what: str
    """The file or folder that it reads, in a few words."""
    recognises: Callable[[Path], bool]
    """Whether a path looks like this layout; never raises."""
    load: Callable[[Path, ImportOptions], Imported]
    """Raises UserError where the checkpoint is damaged, of another model, or contradicts the options."""
    options: frozenset[str] = frozenset()
    """Those of `text_tokenizer`, `heads`, `head_dim`, `early_exit_layer` and `cps` that `load` reads."""
    fetch: Callable[[str], Path | None] | None = None
    """Brings a checkpoint from elsewhere by its name; None where the name is none of its kind. Raises UserError."""

    def check(self, options: ImportOptions) -> None:
        """Refuse an option that this layout does not read, instead of ignoring it.

        Raises:
            UserError: Such an option has a value.
        """
        for name in _OF_A_LAYOUT:
            if name not in self.options and getattr(options, name) is not None:
                raise UserError(f"--{name.replace('_', '-')}: the layout {self.layout} does not use it; leave it out")


def card_of(path: Path, options: ImportOptions, frame_rate: float, longest_utterance: int | None = None) -> VoiceCard:
    """The card of a voice that ends at semantic tokens.

    Args:
        path: The checkpoint; its stem names the voice until `save_voice` gives it the name of its folder.
        options: The user's options.
        frame_rate: Semantic tokens a second of this layout, if the options do not say.
        longest_utterance: Characters in an utterance; the default of voice cards if None.
    """
    rate = frame_rate if options.frame_rate is None else options.frame_rate
    longest = VoiceCard.longest_utterance if longest_utterance is None else longest_utterance
    return VoiceCard(
        path.stem, options.language, options.licence, rate, sample_rate=None, longest_utterance=longest,
        tokens_per_character=None,
    )  # fmt: skip


def make_tokenizer(wanted: str | None, config: TextToSemanticConfig) -> AnyTokenizer:
    """The text tokenizer that `ImportOptions.text_tokenizer` names.

    Raises:
        UserError: Nothing is named, the file is no SentencePiece model, or it has more ids than the model reads.
    """
    ids = config.letters - (config.text_eos_id is not None)
    if wanted is None:
        raise UserError(
            "the checkpoint does not say how texts become ids; pass --text-tokenizer FILE (the SentencePiece model it "
            "was trained with), 'bytes' (ids are UTF-8 bytes) or 'ids' (texts are numbers already)"
        )
    if wanted == "ids":
        return IdTokenizer(ids)
    tokenizer = ByteTokenizer() if wanted == "bytes" else load_tokenizer(wanted)
    if tokenizer.vocab_size > ids:
        raise UserError(
            f"--text-tokenizer {wanted}: makes {tokenizer.vocab_size} ids, the model reads {ids}; pass the one that "
            "the checkpoint was trained with"
        )
    return tokenizer
