"""What a voice is made of, and how a voice folder becomes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from spear_accel.acoustic import AcousticStage
from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.methods import Drafting
from spear_accel.errors import UserError
from spear_accel.kernels.defaults import with_own_defaults
from spear_accel.kernels.devices import check_device
from spear_accel.kernels.projection import drafting_dtype
from spear_accel.model import TextToSemantic
from spear_accel.model.native_backend import make_backend
from spear_accel.text.tokenizers import AnyTokenizer
from spear_accel.voice import components
from spear_accel.voice.defaults import load_decoding, load_tuning
from spear_accel.voice.folder import VoiceCard, VoiceFolder, open_voice
from spear_accel.voice.precision import choose_precision

__all__ = ["VoiceParts", "load_parts"]


@dataclass(frozen=True)
class VoiceParts:
    """Everything that a `Voice` speaks with.

    Raises:
        UserError: Model and acoustic stage are of different voices.
    """

    card: VoiceCard
    tokenizer: AnyTokenizer
    model: TextToSemantic
    acoustic: AcousticStage | None = None
    """Any stage; None for a voice that ends at semantic tokens."""
    defaults: DecodeOptions = field(default_factory=DecodeOptions)
    drafting: Drafting = field(default_factory=Drafting)
    centroids: Callable[[], Tensor] | None = None
    """Reads the centroids of the tokens, [tokens, D]; only the rule "grouped" asks."""
    folder: VoiceFolder | None = None
    """Where the parts were read from; None for a voice that was put together in memory."""

    def __post_init__(self) -> None:
        acoustic, spoken = self.acoustic, self.model.config.semantic_units
        if acoustic is not None and acoustic.num_tokens < spoken:
            raise UserError(
                f"voice {self.card.name!r}: the acoustic stage knows {acoustic.num_tokens} tokens, "
                f"the model speaks {spoken}; they are of different voices"
            )


@with_own_defaults
def load_parts(
    folder: VoiceFolder, device: str | torch.device, dtype: str | torch.dtype, draft_model: str | Path | None = None
) -> VoiceParts:
    """The parts that speaking needs, read and checked; see `Voice.load` for arguments and errors."""
    device = check_device(device)
    precision = choose_precision(dtype, device)
    model = components.load_text_to_semantic(folder).to(device, precision.parameters)
    model.decoder.backend = make_backend(model.decoder, precision.step)
    quick = drafting_dtype(device, precision.parameters)
    small = None
    if draft_model is not None:
        small = components.load_text_to_semantic(open_voice(draft_model)).to(device, quick)
    heads = {kind: head.to(device, quick) for kind, head in components.load_heads(folder, model.config).items()}
    return VoiceParts(
        card=folder.card,
        tokenizer=components.load_text_tokenizer(folder),
        model=model,
        acoustic=components.load_acoustic(folder, device),
        defaults=load_decoding(folder),
        drafting=Drafting(heads, small, load_tuning(folder, model)),
        centroids=partial(components.load_centroids, folder),
        folder=folder,
    )
