"""`spear-accel tokenize`: recordings to semantic tokens, a JSON line each."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.audio.tokenizer import SpeechTokenizer
    from spear_accel.data.pairs import TextReader


def tokenize(
    audio: Annotated[
        list[Path] | None, typer.Argument(help="Recordings: any format that libsndfile reads, any sample rate.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="Folder with metadata.csv (id|raw|normalised) and wavs/ID.*, instead of recordings. Writes what "
            "`train` reads: id, text, text_ids, tokens, .... Can be interrupted; the same command goes on.",
            show_default="none",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", help="JSON Lines file; '-' for standard output (not with --corpus).")
    ] = "-",
    voice: Annotated[
        str, typer.Option(help="Voice (name or folder) whose speech tokenizer, and text tokenizer, are used.")
    ] = "kathleen",
    text_tokenizer: Annotated[
        Path | None,
        typer.Option(help="SentencePiece model that makes text_ids (with --corpus).", show_default="the voice's"),
    ] = None,
) -> None:
    """Turn recordings into semantic tokens."""
    if (corpus is None) == (not audio):
        raise UserError("give recordings, or a folder with --corpus; not both")
    if corpus is not None:
        _corpus(corpus, output, voice, text_tokenizer)
    elif text_tokenizer is not None:
        raise UserError("--text-tokenizer: only a corpus has texts; give --corpus, or leave it out")
    else:
        _recordings(audio or [], output, voice)


def _recordings(audio: list[Path], output: str, voice: str) -> None:
    from spear_accel.data.pairs import tokenize_recording
    from spear_accel.kernels import threads
    from spear_accel.storage import files

    if output != "-":
        files.check_writable(output)
    threads.apply()
    tokenizer = _load(voice)
    lines = (_line(tokenize_recording(tokenizer, path, path.stem)) for path in audio)
    if output == "-":
        sys.stdout.writelines(lines)
        return
    with files.replacing(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(console.progress(lines, unit="file", total=len(audio)))
    for name, count in Counter(path.stem for path in audio).items():
        if count > 1:
            console.warn(f"{count} recordings have the id {name}; training would take one of them")


def _corpus(folder: Path, output: str, voice: str, text_tokenizer: Path | None) -> None:
    """Tokenize all of a corpus that can be used, and name what cannot."""
    from spear_accel.data.corpus import scan_corpus
    from spear_accel.data.pairs import Feedback, tokenize_manifest
    from spear_accel.kernels import threads
    from spear_accel.storage import files
    from spear_accel.text.phonemes import PhonemeTokenizer
    from spear_accel.text.tokenizer import TextTokenizer

    if output == "-":
        raise UserError("--corpus: name the file to write with -o; it can be interrupted and goes on")
    files.check_writable(output)
    found = scan_corpus(folder)
    reader = _reader(voice, text_tokenizer)
    threads.apply()
    tokenizer = _load(voice)
    for fault in found.faults:
        console.warn(f"left out: {fault}")
    records = [{"id": entry.id, "audio": str(entry.audio), "text": entry.text} for entry in found.entries]
    feedback = Feedback(
        report=lambda fault: console.warn(f"left out: {fault}"),
        progress=lambda left: console.progress(left, unit="file", total=len(left)),
    )
    with console.resumable():
        left_out = tokenize_manifest(tokenizer, records, Path(output), reader=reader, feedback=feedback)
    console.say(f"{output}: {len(records) - left_out} recordings, {len(found.faults) + left_out} left out")
    if isinstance(reader.tokenizer, TextTokenizer | PhonemeTokenizer):
        size = reader.tokenizer.vocab_size
        console.say(f"the model section of `train` needs text_vocab_size: {size + 1} and text_eos_id: {size}")


def _load(voice: str) -> SpeechTokenizer:
    from spear_accel.voice import components
    from spear_accel.voice.folder import open_voice

    return components.load_speech_tokenizer(open_voice(voice))


def _reader(voice: str, text_tokenizer: Path | None) -> TextReader:
    from spear_accel.data.pairs import TextReader
    from spear_accel.text import front_end_for
    from spear_accel.text.tokenizers import load_tokenizer
    from spear_accel.voice import components
    from spear_accel.voice.folder import open_voice

    folder = open_voice(voice)
    front_end = front_end_for(folder.card.language, folder.card.front_end)
    if text_tokenizer is None:
        return TextReader(components.load_text_tokenizer(folder), front_end)
    return TextReader(load_tokenizer(text_tokenizer), front_end)


def _line(record: dict[str, object]) -> str:
    # Bytes of a file's name that are no UTF-8 become escapes, as JSON has them.
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"
