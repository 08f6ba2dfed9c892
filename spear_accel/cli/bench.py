"""`spear-accel bench`: how fast a voice decodes by each method, and whether the tokens stay the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spear_accel.cli import console, inputs
from spear_accel.cli.decode_options import METHODS, RULES, Device, Dtype, Seed, Temperature, changed
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.bench import Record, Run
    from spear_accel.decoding import DecodeOptions
    from spear_accel.voice.voice import Voice


def bench(
    context: typer.Context,
    voice: Annotated[str, typer.Argument(help="Name of a shipped voice, or path of a voice folder.")],
    text: Annotated[
        str | None,
        typer.Option(help="File of utterances, one a line ('-': standard input).", show_default="built-in sentences"),
    ] = None,
    utterances: Annotated[
        int | None, typer.Option(min=1, help="Decode only the first N utterances.", show_default="all")
    ] = None,
    batch_sizes: Annotated[
        str, typer.Option(help="Comma-separated: most utterances decoded at once in each measurement.")
    ] = "1,8,32",
    methods: Annotated[
        str | None,
        typer.Option(
            help=f"Comma-separated methods to measure: auto, {METHODS}.", show_default="all that the voice has"
        ),
    ] = None,
    verify: Annotated[str, typer.Option(help=f"Comma-separated acceptance rules to measure: {RULES}.")] = "coupled",
    draft_lengths: Annotated[
        str, typer.Option(help="Comma-separated draft lengths in tokens a round; auto follows what is measured.")
    ] = "auto",
    draft_model: Annotated[
        str | None, typer.Option(help="Smaller voice whose model drafts, for method draft-model.")
    ] = None,
    temperature: Temperature = None,
    seed: Seed = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each measurement; their median is shown.")] = 3,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads to compute with.", show_default="the idle cores")
    ] = None,
    device: Device = "cpu",
    dtype: Dtype = "auto",
    json_output: Annotated[
        str | None,
        typer.Option("--json", help="Write the records to this JSON file ('-': standard output, and no tables)."),
    ] = None,
    plot: Annotated[str | None, typer.Option(help="Draw a chart into this PNG file.")] = None,
    peers: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated other packages to measure beside this one instead of methods: ctranslate2, "
            "transformers, with random weights of the voice's shape."
        ),
    ] = None,
) -> None:
    """Measure decoding by each method against autoregressive decoding on the same texts and seeds."""
    sizes = [inputs.whole("--batch-sizes", item, 1) for item in inputs.items("--batch-sizes", batch_sizes)]
    lengths = [_draft_length(item) for item in inputs.items("--draft-lengths", draft_lengths)]
    rules = inputs.items("--verify", verify)
    _check_outputs(json_output, plot)
    given = None if text is None else inputs.read_text(text)

    from spear_accel.bench import make_cases, measure

    _set_threads(threads)
    loaded = inputs.load_voice(voice, device, dtype, draft_model)
    texts = _texts(loaded, given, text, utterances, max(sizes))
    if peers is not None:
        options = changed(loaded.defaults, seed=seed, temperature=temperature)
        _compare(loaded, texts, sizes, options, repeats, inputs.items("--peers", peers), json_output)
        return
    chosen = loaded.methods if methods is None else inputs.items("--methods", methods)
    cases = make_cases(chosen, rules, lengths)
    options = changed(loaded.defaults, seed=seed, temperature=temperature)
    runs = measure(loaded, texts, cases, sizes, options, repeats)
    total = len(sizes) * repeats * len(cases)
    measured = list(console.progress(runs, unit="run", total=total))
    _report(_records(loaded, measured, options, context.params), json_output, plot)


def _compare(
    voice: Voice,
    texts: Sequence[str],
    sizes: Sequence[int],
    options: DecodeOptions,
    repeats: int,
    peers: Sequence[str],
    json_output: str | None,
) -> None:
    from dataclasses import asdict

    from spear_accel.bench.peers import compare, table_of
    from spear_accel.bench.table import print_tables
    from spear_accel.storage import files

    figures = list(compare(voice, texts, sizes, options, repeats, peers))
    lines = json.dumps([asdict(figure) for figure in figures], indent=2) + "\n"
    if json_output == "-":
        sys.stdout.write(lines)
        return
    print_tables([table_of(figures)], sys.stdout)
    if json_output is not None:
        files.write_text(json_output, lines)


def _draft_length(item: str) -> int | Literal["auto"]:
    return "auto" if item == "auto" else inputs.whole("--draft-lengths", item, 0)


def _check_outputs(json_output: str | None, plot: str | None) -> None:
    from spear_accel.storage import files

    if json_output not in (None, "-"):
        files.check_writable(str(json_output))
    if plot is not None:
        from spear_accel.bench.plot import check_available

        if not plot.lower().endswith(".png"):
            raise UserError(f"--plot {plot}: only PNG is drawn; give a name that ends in .png")
        files.check_writable(plot)
        check_available()


def _texts(voice: Voice, given: str | None, source: str | None, count: int | None, largest_batch: int) -> list[str]:
    from spear_accel.bench import built_in_sentences, choose_texts, split_lines

    if given is None:
        return choose_texts(built_in_sentences(voice), count, largest_batch)
    name = "standard input" if source == "-" else str(source)
    return choose_texts(split_lines(given, name, voice), count, largest_batch)


def _set_threads(count: int | None) -> None:
    import torch

    from spear_accel.kernels import threads

    if count is None:
        threads.apply()
    else:
        torch.set_num_threads(count)


def _records(voice: Voice, runs: Sequence[Run], options: DecodeOptions, arguments: Mapping[str, Any]) -> list[Record]:
    from spear_accel.bench.records import Conditions, make_records

    return make_records(runs, Conditions.of(voice.model, options, arguments))


def _report(records: Sequence[Record], json_output: str | None, plot: str | None) -> None:
    from spear_accel.bench.plot import save_plot
    from spear_accel.bench.table import make_tables, print_tables
    from spear_accel.storage import files

    lines = json.dumps([record.to_dict() for record in records], indent=2, allow_nan=False) + "\n"
    if json_output == "-":
        sys.stdout.write(lines)
    else:
        print_tables(make_tables(records), sys.stdout)
    if json_output not in (None, "-"):
        files.write_text(str(json_output), lines)
    if plot is not None:
        save_plot(records, plot)
    for record in records:
        _warn(record)


def _warn(record: Record) -> None:
    name = f"{record.method}, {record.verify}, draft length {record.draft_length}, batch size {record.batch_size}"
    first = record.first_difference
    if first is not None:
        console.warn(
            f"{name}: {record.different_utterances} of {record.utterances} utterances differ; first utterance "
            f"{first.utterance}, token {first.position}: {_token(first.found)} instead of {_token(first.expected)}"
        )
    failed = record.stop_reasons.get("error", 0)
    if failed:
        console.warn(f"{name}: {failed} of {record.utterances} utterances stopped with an error")


def _token(token: int | None) -> str:
    return "the end" if token is None else str(token)
