"""`spear-accel speak`: text from the argument, a file or standard input to sound."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console, inputs
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from spear_accel.cli.sound_output import Sink
    from spear_accel.decoding import DecodeOptions
    from spear_accel.voice.speech import Speech
    from spear_accel.voice.voice import Voice


def speak(
    text: Annotated[str | None, typer.Argument(help="What to say; standard input where left out.")] = None,
    input: Annotated[str | None, typer.Option("-i", "--input", help="Read the text from a file ('-': stdin).")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", help="Sound file: .wav, .flac, .ogg, .opus, .mp3; '-': WAV on stdout (default)."
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Signed 16-bit mono samples without a header.")] = False,
    voice: Annotated[str, typer.Option(help="Name of a shipped voice, or a voice folder.")] = "kathleen",
    seed: Annotated[int, typer.Option(help="Another seed, another reading.")] = 0,
    speed: Annotated[float, typer.Option(help="Tempo, 0.5 to 2; the pitch stays.")] = 1.0,
    method: Annotated[str | None, typer.Option(help="What drafts tokens; the voice's default where left out.")] = None,
    verify: Annotated[str | None, typer.Option(help="Rule that checks drafts; 'coupled' changes no token.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is the most likely reading.")] = None,
    tokens_out: Annotated[Path | None, typer.Option(help="Also save the semantic tokens, int64 [n], as .npy.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Speak a text of any length. With --raw to standard output, the sound comes while the text is still spoken."""
    words = _read_text(text, input)
    started = time.perf_counter()
    from spear_accel.cli import sound_output
    from spear_accel.kernels import threads
    from spear_accel.storage import files
    from spear_accel.voice.folder import open_voice

    if tokens_out is not None:
        files.check_writable(tokens_out)
    silent = open_voice(voice).card.sample_rate is None
    if silent and (tokens_out is None or output is not None):
        raise UserError(f"voice {voice!r} ends at semantic tokens; save them with --tokens-out F.npy, without -o")
    output = output or "-"
    if not silent:
        sound_output.check(output, raw)
    threads.apply()
    loaded = inputs.load_voice(voice, device)
    options = _options(loaded, seed, method, verify, temperature)
    if silent and tokens_out is not None:
        _save_tokens(tokens_out, [one.tokens for one in loaded.utter(words, options)])
        return
    if raw:
        console.say(f"signed 16-bit little-endian mono at {loaded.sample_rate} Hz")
    tokens: list[Tensor] = []
    with sound_output.open_sink(output, raw, loaded.sample_rate) as sink:
        # Who listens wants the sound early; a file gains nothing from it.
        speech = (loaded.stream if sound_output.is_live(output, raw) else loaded.speak_each)(
            words, options, speed=speed
        )
        seconds = _write(speech, sink, tokens)
    if tokens_out is not None:
        _save_tokens(tokens_out, tokens)
    console.say(f"{seconds:.1f} s of speech in {time.perf_counter() - started:.1f} s")


def _read_text(text: str | None, input: str | None) -> str:
    if text is not None and input is not None:
        raise UserError("give the text or -i FILE, not both")
    if text is not None and text != "-":
        return text
    source = input or "-"
    if source == "-" and sys.stdin.isatty():
        raise UserError("no text: give it as an argument, with -i FILE, or on standard input")
    return inputs.read_text(source)


def _options(
    voice: Voice, seed: int, method: str | None, verify: str | None, temperature: float | None
) -> DecodeOptions:
    options = replace(voice.defaults, seed=seed)
    if method is not None:
        options = replace(options, method=method)
    if verify is not None:
        options = replace(options, verify=verify)
    return options if temperature is None else replace(options, temperature=temperature)


def _write(spoken: Iterable[Speech], sink: Sink, tokens: list[Tensor]) -> float:
    seconds, sentences = 0.0, 0
    with console.counting(None, unit="sentence") as told:
        for part in spoken:
            for line in part.warnings:
                console.warn(line)
            sink.write(part.waveform.numpy())
            tokens.append(part.tokens)
            seconds += part.seconds
            sentences += len(part.utterances)
            told(sentences)
    return seconds


def _save_tokens(path: Path, tokens: list[Tensor]) -> None:
    import numpy as np
    import torch

    from spear_accel.storage import files

    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, torch.cat(tokens).numpy())
