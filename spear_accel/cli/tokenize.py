"""`spear-accel tokenize`: recordings to semantic tokens, a JSON line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console

if TYPE_CHECKING:
    from spear_accel.audio.tokenizer import SpeechTokenizer


def tokenize(
    audio: Annotated[list[Path], typer.Argument(help="Recordings: any format that libsndfile reads, any rate.")],
    output: Annotated[str, typer.Option("-o", "--output", help="JSON lines file, or '-' for standard output.")] = "-",
    voice: Annotated[str, typer.Option(help="Name of a shipped voice, or a voice folder.")] = "kathleen",
) -> None:
    """Turn recordings into semantic tokens."""
    from spear_accel.kernels import threads
    from spear_accel.storage import files

    if output != "-":
        files.check_writable(output)
    threads.apply()
    tokenizer = _load(voice)
    lines = (_line(tokenizer, path) for path in audio)
    if output == "-":
        sys.stdout.writelines(lines)
        return
    with files.replacing(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(console.progress(lines, unit="file", total=len(audio)))


def _load(voice: str) -> SpeechTokenizer:
    from spear_accel.voice import components
    from spear_accel.voice.folder import open_voice

    return components.load_speech_tokenizer(open_voice(voice))


def _line(tokenizer: SpeechTokenizer, path: Path) -> str:
    """One recording as a JSON line. Raises UserError where it is not audio or has no samples."""
    from spear_accel.audio.encoder import SAMPLE_RATE
    from spear_accel.audio.files import read_audio

    waveform = read_audio(path, SAMPLE_RATE)
    record = {
        "audio_filepath": str(path),
        "duration": round(len(waveform) / SAMPLE_RATE, 3),
        "frame_rate": tokenizer.config.frame_rate,
        "tokens": tokenizer.tokenize([waveform])[0].tolist(),
    }
    return json.dumps(record, ensure_ascii=False) + "\n"
