"""Measures on this machine what drafts of each method cost and bring, and keeps it in a voice folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spear_accel.accelerate.costs import TunePlan, measure_costs
from spear_accel.voice.components import load_decoding_defaults, save_decoding_defaults
from spear_accel.voice.defaults import with_tuning
from spear_accel.voice.folder import open_voice, seal
from spear_accel.voice.voice import Voice

__all__ = ["tune_voice"]


def tune_voice(folder: Path | str, texts: Sequence[Sequence[int]], plan: TunePlan) -> Voice:
    """Write decoding.json and seal the voice; returns the voice as it now is. The machine must be idle.

    texts: ids without EOS that no part of the voice was trained on.
    """
    voice = Voice.load(folder)
    tuning = measure_costs(voice.model, voice.drafting, texts, voice.defaults, plan)
    # Whatever else the voice says of sampling stays: it decides what is said.
    kept = load_decoding_defaults(open_voice(folder))
    options = {"method": "auto", "verify": "coupled", "draft_length": "auto", "temperature": voice.defaults.temperature}
    save_decoding_defaults(folder, with_tuning({**kept, **options}, voice.model, tuning))
    seal(folder, voice.card)
    return Voice.load(folder)
