"""`spear-accel synth`: many lines to a dataset, resumable at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console, inputs
from spear_accel.cli.decode_options import (
    Coverage,
    Device,
    Dtype,
    LexiconFile,
    Loudness,
    Method,
    SampleRate,
    Temperature,
    Verify,
    VoiceName,
    changed,
)
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.decoding import DecodeOptions
    from spear_accel.synth import SynthSummary
    from spear_accel.synth.lines import BadLine

_MAX_WARNINGS = 20


def synth(
    input: Annotated[
        str,
        typer.Argument(help="Lines to speak: FILE.txt, FILE.csv (id|text), FILE.jsonl, or '-' for text on stdin."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the dataset; a run resumes what it holds.")],
    voice: VoiceName = "kathleen",
    batch_size: Annotated[
        int, typer.Option(help="Utterances that a worker decodes at once. Changes speed and memory, no byte.")
    ] = 16,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes (actors with --engine ray). Changes speed and memory, no byte.",
            show_default="one for each idle core; 1 with --device cuda",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Where workers run: local (this machine) or ray (a Ray cluster; extra ray).")
    ] = "local",
    device: Device = "cpu",
    dtype: Dtype = "auto",
    format: Annotated[
        str,
        typer.Option(help="Layout: ljspeech, webdataset, audiofolder, parquet, lhotse, shar or nemo."),
    ] = "ljspeech",
    validation: Annotated[
        float, typer.Option(help="Share of the lines in a split 'validation' (parquet).", metavar="SHARE")
    ] = 0.0,
    push_to_hub: Annotated[
        str | None,
        typer.Option(
            help="Upload the whole dataset to this repository of the Hugging Face Hub (parquet; extra hub).",
            metavar="OWNER/NAME",
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="A repository that is made is private.")] = False,
    tokens_only: Annotated[
        bool, typer.Option("--tokens-only", help="Write semantic tokens without sound (ljspeech or webdataset).")
    ] = False,
    words: Annotated[
        bool, typer.Option("--words", help="Record when each word is said (Lhotse: as alignments of supervisions).")
    ] = False,
    sample_rate: SampleRate = None,
    loudness: Loudness = None,
    lexicon: LexiconFile = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the sampling noise, for lines that name none. Another seed, another reading.")
    ] = 0,
    temperature: Temperature = None,
    method: Method = None,
    verify: Verify = None,
    candidates: Annotated[
        int, typer.Option(min=1, help="Decode each utterance this often, with different seeds, and keep the best.")
    ] = 1,
    coverage: Coverage = True,
    retries: Annotated[
        int, typer.Option(min=0, help="Most retries of an utterance that has a fault, each with another seed.")
    ] = 2,
    shard: Annotated[
        str, typer.Option(help="I/N: make the I-th of N parts of the lines. All parts share one folder.")
    ] = "1/1",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try lines again that failed in an earlier run.")
    ] = False,
) -> None:
    """Make a dataset of many lines. The same command resumes a run that was stopped or killed."""
    if push_to_hub is not None:
        _check_upload(push_to_hub, format)
    data, kind, name = inputs.read_lines_file(input)
    from spear_accel.audio.treatment import Treatment
    from spear_accel.synth import SynthOptions, read_lines, synthesise, usable_lines

    lines, bad = read_lines(data, name, kind)
    if not lines:
        _warn(name, bad)
        raise UserError(f"{name}: none of its {len(bad)} lines can be spoken; the first: {bad[0].reason}")
    options = SynthOptions(
        voice=voice,
        format=format,
        validation=validation,
        tokens_only=tokens_only,
        decode=_decode_options(voice, seed, temperature, method, verify),
        retries=retries,
        candidates=candidates,
        coverage=coverage,
        words=words,
        treatment=Treatment(sample_rate, loudness),
        respellings=inputs.read_respellings(lexicon),
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        workers=workers or _default_workers(len(lines), batch_size, device),
        engine=engine,
        shard=_shard(shard),
        retry_failed=retry_failed,
    )
    _, unspoken = usable_lines(lines, options)
    _warn(name, sorted([*bad, *unspoken], key=lambda line: line.number))
    with console.resumable(), console.counting(len(lines), "line") as progress:
        summary = synthesise(lines, bad, output, options, progress)
    _report(output, summary)
    if push_to_hub is not None:
        _upload(output, push_to_hub, private, summary.complete)
    if summary.failed:
        raise UserError(
            f"{summary.failed} lines failed; {output / 'failed.jsonl'} tells why, --retry-failed tries again"
        )


def _check_upload(repository: str, format: str) -> None:
    """Before hours of work."""
    from spear_accel.storage.hub import check_upload

    if format != "parquet":
        raise UserError(f"--push-to-hub: --format {format} is not what the Hub shows; give --format parquet")
    check_upload(repository)


def _upload(folder: Path, repository: str, private: bool, complete: bool) -> None:
    from spear_accel.storage.hub import upload

    if not complete:
        console.say("not uploaded: the run that ends the last shard does that")
        return
    console.say(f"uploaded: {upload(folder, repository, 'dataset', ['README.md', 'data/*.parquet'], private)}")


def _warn(name: str, bad: Sequence[BadLine]) -> None:
    """Names the first bad lines of the input."""
    for line in bad[:_MAX_WARNINGS]:
        console.warn(f"{name}, line {line.number}: {line.reason}; skipped")
    if len(bad) > _MAX_WARNINGS:
        console.warn(f"{name}: {len(bad) - _MAX_WARNINGS} more bad lines; failed.jsonl names all")


def _report(output: Path, summary: SynthSummary) -> None:
    """Says what was done."""
    console.say(
        f"{output}: {summary.made} made, {summary.skipped} there already, {summary.failed} failed"
        + ("" if summary.complete else "; other shards are not done yet")
    )
    if summary.warned:
        console.warn(f"{summary.warned} lines have warnings, told in their records: {output / 'manifest.jsonl'}")


def _default_workers(lines: int, batch_size: int, device: str) -> int:
    """One worker for each idle core, as long as each has two batches of lines; one keeps a GPU busy."""
    if device != "cpu":
        return 1
    from spear_accel.kernels import threads

    return max(1, min(threads.idle_cores(), lines // (2 * max(1, batch_size))))


def _shard(value: str) -> tuple[int, int]:
    number, slash, of = value.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise UserError(f"--shard {value}: give I/N, for example 1/3")
    return int(number), int(of)


def _decode_options(
    voice: str, seed: int, temperature: float | None, method: str | None, verify: str | None
) -> DecodeOptions | None:
    """Options if something was given, else None: then each line's voice has its own."""
    given = {"seed": seed or None, "temperature": temperature, "method": method, "verify": verify}
    if all(value is None for value in given.values()):
        return None
    from spear_accel.voice.defaults import decoding_defaults

    return changed(decoding_defaults(voice), **given)
