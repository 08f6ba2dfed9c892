"""`spear-accel speak`: text from the argument, a file or standard input to sound."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.checks import tempo
from spear_accel.cli import console, inputs
from spear_accel.cli.decode_options import (
    Coverage,
    Device,
    Dtype,
    LexiconFile,
    Loudness,
    Method,
    SampleRate,
    Seed,
    Temperature,
    Verify,
    VoiceName,
    changed,
)
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from spear_accel.audio.treatment import Sink
    from spear_accel.timing import WordTime
    from spear_accel.voice.speech import Speech


def speak(
    text: Annotated[str | None, typer.Argument(help="Text to speak.", show_default="standard input")] = None,
    input: Annotated[
        str | None, typer.Option("-i", "--input", help="Read the text from this file ('-': standard input).")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="Sound file to write: .wav, .flac, .ogg, .opus or .mp3 ('-': WAV to standard output).",
            show_default="-",
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write signed 16-bit little-endian mono samples without a header.")
    ] = False,
    voice: VoiceName = "kathleen",
    seed: Seed = 0,
    speed: Annotated[float, typer.Option(help="Factor on the tempo, 0.5 to 2; the pitch stays.")] = 1.0,
    method: Method = None,
    verify: Verify = None,
    temperature: Temperature = None,
    tokens_out: Annotated[
        Path | None, typer.Option(help="Also save the semantic tokens, int64 [n], to this .npy file.")
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(help="Also save when each word is said: .json, .srt, .vtt, .ctm or .TextGrid."),
    ] = None,
    coverage: Coverage = True,
    lexicon: LexiconFile = None,
    sample_rate: SampleRate = None,
    loudness: Loudness = None,
    device: Device = "cpu",
    dtype: Dtype = "auto",
) -> None:
    """Speak a text of any length. With `--raw -o -` the sound comes while the text is still being decoded."""
    wanted = _read_text(text, input)
    started, speed = time.perf_counter(), tempo(speed)
    from spear_accel.audio.treatment import Treatment
    from spear_accel.cli import sound_output
    from spear_accel.kernels import threads
    from spear_accel.storage import files
    from spear_accel.timing.files import check_words_path, write_words
    from spear_accel.timing.formats.base import Transcript
    from spear_accel.voice.folder import open_voice

    if output == "" or (tokens_out is not None and str(tokens_out) == output):
        raise UserError(f"-o {output!r}: name a file of its own for the sound")
    if words is not None:
        if str(words) in (output, str(tokens_out)):
            raise UserError(f"--words {words}: name a file of its own for the words")
        check_words_path(words)
    if tokens_out is not None:
        files.check_writable(tokens_out)
    treatment = Treatment(sample_rate, loudness)
    respellings = inputs.read_respellings(lexicon)
    tokens_only = open_voice(voice).card.sample_rate is None
    if tokens_only and words is not None:
        raise UserError(
            f"voice {voice!r} ends at semantic tokens; without sound words have no times. Leave --words out"
        )
    if tokens_only and (tokens_out is None or output is not None):
        raise UserError(f"voice {voice!r} ends at semantic tokens; save them with --tokens-out F.npy, without -o")
    output = output or "-"
    if not tokens_only:
        sound_output.check(output, raw)
    threads.apply()
    loaded = inputs.load_voice(voice, device, dtype)
    if respellings is not None:
        loaded = loaded.with_respellings(respellings)
    options = changed(loaded.defaults, seed=seed, method=method, verify=verify, temperature=temperature)
    if tokens_only and tokens_out is not None:
        _save_tokens(tokens_out, [one.tokens for one in loaded.utter(wanted, options, coverage=coverage)])
        return
    rate = treatment.rate(loaded.sample_rate)
    if raw:
        console.say(f"signed 16-bit little-endian mono at {rate} Hz")
    tokens: list[Tensor] = []
    said: list[WordTime] = []
    with sound_output.open_sink(output, raw, rate) as out, treatment.onto(out, loaded.sample_rate) as sink:
        # Who listens wants the sound early; a file gains nothing from it.
        speech = (loaded.stream if sound_output.is_live(output, raw) else loaded.speak_each)(
            wanted, options, speed=speed, words=words is not None, coverage=coverage
        )
        seconds = _write(speech, sink, tokens, said)
    if tokens_out is not None:
        _save_tokens(tokens_out, tokens)
    if words is not None:
        write_words(words, Transcript(wanted, said, seconds, Path(output).stem if output != "-" else words.stem))
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


def _write(spoken: Iterable[Speech], sink: Sink, tokens: list[Tensor], words: list[WordTime]) -> float:
    """Writes the sound of each part and collects its tokens and words; returns the seconds."""
    seconds, sentences = 0.0, 0
    with console.counting(None, unit="sentence") as progress:
        for part in spoken:
            for line in part.warnings:
                console.warn(line)
            sink.write(part.waveform.numpy())
            tokens.append(part.tokens)
            words += part.words
            seconds += part.seconds
            sentences += len(part.utterances)
            progress(sentences)
    return seconds


def _save_tokens(path: Path, tokens: list[Tensor]) -> None:
    import numpy as np
    import torch

    from spear_accel.storage import files

    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, torch.cat(tokens).numpy())
