"""The decoding options that several verbs share: their help, and what they change of a voice's defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spear_accel.decoding.registry import installed_names, method_names, rule_names

if TYPE_CHECKING:
    from spear_accel.decoding import DecodeOptions

__all__ = [
    "METHODS",
    "RULES",
    "Device",
    "Dtype",
    "LexiconFile",
    "Loudness",
    "Method",
    "SampleRate",
    "Seed",
    "Temperature",
    "Verify",
    "VoiceName",
    "changed",
]

METHODS, RULES = ", ".join(method_names()), ", ".join(rule_names())
"""Names for help, those of installed packages included."""
_OTHER_RULES = "".join(f", {name}" for name in installed_names()["rules"])

VoiceName = Annotated[str, typer.Option(help="Name of a shipped voice, or path of a voice folder.")]
Seed = Annotated[
    int, typer.Option(help="Seed of the sampling noise. The same seed gives the same speech, another seed another.")
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="Sampling temperature: 0 takes the most likely token, higher values vary more.",
        show_default="the voice's own",
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        help=f"What drafts tokens: auto (the fastest that was measured), {METHODS}.",
        show_default="the voice's own",
    ),
]
Verify = Annotated[
    str | None,
    typer.Option(
        help="Acceptance rule: coupled (exactly the autoregressive tokens), rejection, k-seq (the same distribution), "
        f"lenient, typical, grouped (lossy){_OTHER_RULES}.",
        show_default="the voice's own",
    ),
]
LexiconFile = Annotated[
    Path | None,
    typer.Option(
        "--lexicon", help="Words to read as if spelt otherwise: a file with word<TAB>respelling a line; phrases too."
    ),
]
SampleRate = Annotated[
    int | None,
    typer.Option(help="Samples a second of the sound, in Hz: 16000 for recognisers.", show_default="the voice's own"),
]
Loudness = Annotated[
    float | None,
    typer.Option(
        help="Bring the sound to this loudness, in LUFS (ITU-R BS.1770): -23 for broadcast, -16 for podcasts."
    ),
]
Coverage = Annotated[
    bool, typer.Option(help="Retry utterances that skip or repeat words of their text (found by cross-attention).")
]
Device = Annotated[str, typer.Option(help="Where to compute: cpu or cuda.")]
Dtype = Annotated[
    str,
    typer.Option(
        help="Precision of the text-to-semantic model: float32, bfloat16, float16, int8, or auto (int8 by the native "
        "step, float32 without it). Another precision now and then draws another token."
    ),
]


def changed(defaults: DecodeOptions, **given: Any) -> DecodeOptions:
    """`defaults` with the options that were given; None means not given. Raises UserError: a value is out of range."""
    return replace(defaults, **{name: value for name, value in given.items() if value is not None})
