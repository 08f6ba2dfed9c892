"""`spear-accel decode`: texts to tokens, or to the text that a model writes, a JSON line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console, inputs
from spear_accel.cli.decode_options import Device, Dtype, Method, Seed, Temperature, Verify, VoiceName, changed
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.decoding import DecodeOptions, Request, RequestResult
    from spear_accel.synth.line import Line
    from spear_accel.voice.voice import Voice


def decode(
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts, each decoded as a whole.", show_default="standard input")
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "-i", "--input", help="Read texts from FILE.txt, FILE.csv (id|text) or FILE.jsonl ('-': standard input)."
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", help="JSON Lines file to write; '-' for standard output.")
    ] = "-",
    voice: VoiceName = "kathleen",
    as_text: Annotated[
        bool, typer.Option("--as-text", help="Also write what the tokens say, for models that write text.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts decoded at once. Changes speed, no token.")] = 16,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens of a text.", show_default="the model's own")
    ] = None,
    seed: Seed = 0,
    method: Method = None,
    verify: Verify = None,
    temperature: Temperature = None,
    device: Device = "cpu",
    dtype: Dtype = "auto",
) -> None:
    """Decode texts to tokens without sound: {"id", "tokens", "stop_reason"} and, with --as-text, "text" a line."""
    from spear_accel.kernels import threads
    from spear_accel.storage import files

    lines = _lines(texts, input)
    if output != "-":
        files.check_writable(output)
    threads.apply()
    loaded = inputs.load_voice(voice, device, dtype)
    if as_text:
        _check_text(loaded)
    options = changed(
        loaded.defaults, seed=seed, method=method, verify=verify, temperature=temperature, max_tokens=max_tokens,
        batch_size=batch_size,
    )  # fmt: skip
    left_out = 0
    with nullcontext() if output == "-" else files.replacing(output) as path:
        file = sys.stdout if path is None else path.open("w", encoding="utf-8", newline="\n")
        try:
            with console.counting(len(lines), "text") as progress:
                for done, (line, found) in enumerate(_decoded(loaded, lines, options), start=1):
                    if isinstance(found, UserError):
                        console.warn(f"{line.id}: {found}; left out")
                        left_out += 1
                    else:
                        file.write(_record(loaded, line, found, as_text))
                    progress(done)
        finally:
            if path is not None:
                file.close()
    if left_out:
        raise UserError(f"{left_out} of {len(lines)} texts were left out; the warnings above tell why")


def _lines(texts: list[str] | None, input: str | None) -> list[Line]:
    """Raises UserError: nothing to decode, or a line that is none."""
    from spear_accel.synth.line import Line
    from spear_accel.synth.lines import read_lines

    if texts:
        if input is not None:
            raise UserError("give texts or -i FILE, not both")
        return [Line(number, str(number), text) for number, text in enumerate(texts, start=1)]
    if input is None and sys.stdin.isatty():
        raise UserError("no text: give it as an argument, with -i FILE, or on standard input")
    data, kind, name = inputs.read_lines_file(input or "-")
    good, bad = read_lines(data, name, kind)
    if wrong := [line for line in bad if not line.heading]:
        raise UserError(f"{name}, line {wrong[0].number}: {wrong[0].reason}")
    return good


def _check_text(voice: Voice) -> None:
    from spear_accel.text.tokenizers import written_text

    try:
        written_text(voice.tokenizer, [])
    except UserError as error:
        raise UserError(f"--as-text: {error}") from error


def _decoded(
    voice: Voice, lines: list[Line], options: DecodeOptions
) -> Iterator[tuple[Line, RequestResult | UserError]]:
    """Each line with its result, or with why there is none, in the order of the lines."""
    from spear_accel.decoding.request import check_request

    coming, next_line = iter(enumerate(lines)), 0
    places: list[int] = []
    """Of each request, in the order of asking, its line."""
    ended: dict[int, RequestResult | UserError] = {}

    def source() -> Request | None:
        for place, line in coming:
            chosen = options if line.seed is None else replace(options, seed=line.seed)
            try:
                request = voice.request(line.said, chosen)
                check_request(voice.model.config, request, chosen, voice.generator.stopping, line.number)
            except UserError as error:
                ended[place] = error
                continue
            places.append(place)
            return request
        return None

    for output in voice.decode_requests(source, options):
        result = output.result
        if result is None:
            continue
        ended[places[output.index]] = UserError(result.error) if result.error else result
        while next_line in ended:
            yield lines[next_line], ended.pop(next_line)
            next_line += 1
    while next_line in ended:
        yield lines[next_line], ended.pop(next_line)
        next_line += 1


def _record(voice: Voice, line: Line, result: RequestResult, as_text: bool) -> str:
    from spear_accel.text.tokenizers import written_text

    record: dict[str, object] = {"id": line.id, "tokens": result.tokens.tolist(), "stop_reason": result.stop_reason}
    if as_text:
        record["text"] = written_text(voice.tokenizer, result.tokens.tolist())
    return json.dumps(record, ensure_ascii=False) + "\n"
