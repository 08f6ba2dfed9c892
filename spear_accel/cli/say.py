"""`spear-accel say`: what will be read aloud of a text, without speaking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console, inputs
from spear_accel.cli.decode_options import LexiconFile
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.text.english.options import EnglishOptions
    from spear_accel.text.respelling import Respellings


def say(
    text: Annotated[str | None, typer.Argument(help="The text; standard input without it.")] = None,
    input: Annotated[str | None, typer.Option("-i", "--input", help="Read the text from a file ('-': stdin).")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show tokens too: span in the text, class, reading.")] = False,
    day_first: Annotated[bool, typer.Option("--day-first", help="05/06/2024 is the fifth of June.")] = False,
    number_and: Annotated[bool, typer.Option("--and", help="105 is 'one hundred and five'.")] = False,
    lexicon: LexiconFile = None,
    longest: Annotated[int, typer.Option(help="Characters of an utterance, at most.")] = 220,
) -> None:
    """Show how the English front end reads a text: one line for each utterance, as it would be spoken."""
    if text is not None and input is not None:
        raise UserError("give the text or --input, not both")
    if longest < 1:
        raise UserError(f"--longest {longest}: an utterance holds at least 1 character")
    written = inputs.read_text(input or "-") if text is None else text
    from spear_accel.text.english.options import EnglishOptions

    options = EnglishOptions(day_first=day_first, number_and=number_and)
    if show:
        _show_tokens(written, options)
    _show_utterances(written, options, longest, inputs.read_respellings(lexicon))


def _show_tokens(text: str, options: EnglishOptions) -> None:
    """Span, class, what is written and what is read, a token a line; plain words are passed over."""
    from spear_accel.text.english import English

    for token in English(options).tokens(text):
        if token.kind != "word":
            span = f"{token.start}-{token.end}"
            typer.echo(f"{span:<12}{token.kind:<22}{_one_line(token.text)} -> {token.spoken}")


def _show_utterances(text: str, options: EnglishOptions, longest: int, respellings: Respellings | None) -> None:
    from spear_accel.text.english import English
    from spear_accel.text.plan import plan
    from spear_accel.text.respelling import respelled

    read = English(options) if respellings is None else respelled(English(options), respellings)
    for utterance in plan(text, longest, read):
        for warning in utterance.warnings:
            console.warn(warning)
        typer.echo(utterance.text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
