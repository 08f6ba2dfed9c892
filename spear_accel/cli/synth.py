"""`spear-accel synth`: many lines to a dataset, resumable at any moment."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.decoding import DecodeOptions

_KINDS = {".txt": "txt", ".csv": "csv", ".jsonl": "jsonl"}
_MOST_NAMED = 20


def synth(
    input: Annotated[str, typer.Argument(help="FILE.txt, .csv (id|text) or .jsonl; '-' is standard input, as text.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the dataset.")],
    voice: Annotated[str, typer.Option(help="Name of a shipped voice, or a voice folder.")] = "kathleen",
    batch_size: Annotated[int, typer.Option(help="Most utterances that a worker decodes at once.")] = 16,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per idle core if left out.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: workers are actors, here or on many machines.")] = "local",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    format: Annotated[str, typer.Option(help="ljspeech, webdataset, audiofolder or lhotse.")] = "ljspeech",
    tokens_only: Annotated[bool, typer.Option("--tokens-only", help="Semantic tokens, no sound.")] = False,
    seed: Annotated[int, typer.Option(help="Of lines that name none.")] = 0,
    temperature: Annotated[float | None, typer.Option(help="The voice's default if left out.")] = None,
    method: Annotated[str | None, typer.Option(help="What drafts tokens; the voice's default if left out.")] = None,
    verify: Annotated[str | None, typer.Option(help="Rule that checks drafts; 'coupled' changes no token.")] = None,
    candidates: Annotated[int, typer.Option(min=1, help="Readings of each utterance; the best is kept.")] = 1,
    coverage: Annotated[bool, typer.Option(help="Find skipped and repeated words, and try again.")] = True,
    retries: Annotated[int, typer.Option(min=0, help="Of an utterance with a fault, each with another seed.")] = 2,
    shard: Annotated[str, typer.Option(help="I/N: this part of N, all into one folder.")] = "1/1",
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed lines again.")] = False,
) -> None:
    """Make a dataset of many lines. A run that was stopped or killed goes on with the same command."""
    data, kind, name = _read(input)
    from spear_accel.synth.lines import read_lines

    lines, bad = read_lines(data, name, kind)
    for fault in bad[:_MOST_NAMED]:
        console.warn(f"{name}, line {fault.number}: {fault.reason}; left out")
    if len(bad) > _MOST_NAMED:
        console.warn(f"{name}: {len(bad) - _MOST_NAMED} more bad lines; failed.jsonl names all")
    if not lines:
        raise UserError(f"{name}: none of its {len(bad)} lines can be spoken; the first: {bad[0].reason}")
    from spear_accel.synth import SynthOptions, synthesise

    options = SynthOptions(
        voice=voice, format=format, tokens_only=tokens_only, retries=retries, candidates=candidates, coverage=coverage,
        decode=_decode(voice, seed, temperature, method, verify), device=device, batch_size=batch_size, engine=engine,
        workers=workers or _workers(len(lines), batch_size, device), shard=_shard(shard), retry_failed=retry_failed,
    )  # fmt: skip
    with console.counting(len(lines), "line") as told:
        summary = synthesise(lines, bad, output, options, told)
    console.say(
        f"{output}: {summary.made} made, {summary.skipped} there already, {summary.failed} failed"
        + ("" if summary.complete else "; other shards are not done yet")
    )
    if summary.failed:
        raise UserError(
            f"{summary.failed} lines failed; {output / 'failed.jsonl'} tells why, --retry-failed tries again"
        )


def _read(input: str) -> tuple[bytes, str, str]:
    """The bytes of the input, its kind and its name."""
    if input == "-":
        return sys.stdin.buffer.read(), "txt", "standard input"
    kind = _KINDS.get(Path(input).suffix.lower())
    if kind is None:
        raise UserError(f"{input}: the name must end in {', '.join(_KINDS)}, which tells what it holds")
    try:
        return Path(input).read_bytes(), kind, input
    except OSError as error:
        raise UserError(f"{input}: cannot read ({error.strerror})") from error


def _workers(lines: int, batch_size: int, device: str) -> int:
    """One per idle core, as long as each has two batches of lines; a GPU is kept busy by one."""
    if device != "cpu":
        return 1
    from spear_accel.kernels import threads

    return max(1, min(threads.idle_cores(), lines // (2 * max(1, batch_size))))


def _shard(value: str) -> tuple[int, int]:
    number, slash, of = value.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise UserError(f"--shard {value}: give I/N, for example 1/3")
    return int(number), int(of)


def _decode(
    voice: str, seed: int, temperature: float | None, method: str | None, verify: str | None
) -> DecodeOptions | None:
    """Options where something is asked for, else None for the voice's own."""
    asked = {"seed": seed or None, "temperature": temperature, "method": method, "verify": verify}
    given = {name: value for name, value in asked.items() if value is not None}
    if not given:
        return None
    from spear_accel.voice.defaults import decoding_defaults

    return replace(decoding_defaults(voice), **given)  # type: ignore[arg-type]
