"""Entry point of `spear-accel`: collects the verbs and turns errors into one line and an exit code.

Knows no verb's work. Exit codes: 0 done, 2 the user can fix it, 1 the reader of a pipe went away,
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spear_accel import __version__
from spear_accel.cli import (
    accelerate,
    bench,
    console,
    decode,
    import_model,
    info,
    say,
    serve,
    speak,
    synth,
    tokenize,
    train,
)
from spear_accel.errors import UserError
from spear_accel.storage.files import shown


class _Interrupted(Exception):
    """A Ctrl-C on its way past typer, which would end the program without a word."""


class _Verbs(TyperGroup):
    """The verbs, in the order that they are registered in."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Interrupted(str(error) or "interrupted") from error


app = typer.Typer(
    cls=_Verbs,
    name="spear-accel",
    help="Text to speech through semantic tokens, decoded fast.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("speak")(speak.speak)
app.command("say")(say.say)
app.command("synth")(synth.synth)
app.command("serve")(serve.serve)
app.command("decode")(decode.decode)
app.command("tokenize")(tokenize.tokenize)
app.command("train")(train.train)
app.command("import")(import_model.import_model)
app.command("export")(import_model.export_model)
app.command("accelerate")(accelerate.accelerate)
app.command("bench")(bench.bench)
app.command("info")(info.info)


# Some releases of typer carry a copy of click and some depend on it; this is UsageError of the right one.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Text to speech through semantic tokens, decoded fast."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: The words behind the program's name; None: those of this process.
    """
    _open_standard_streams()
    try:
        code = app(args=arguments, prog_name="spear-accel", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UserError as error:
        return _refuse(str(error))
    except _USAGE_ERROR as error:
        return _refuse(error.format_message() + _hint(error))  # type: ignore[attr-defined]
    except BrokenPipeError:
        _forget_output()
        return 1
    except OSError as error:
        if error.filename is not None:
            return _refuse(f"{shown(error.filename)}: {error.strerror or error}")
        # What verbs write to files they check themselves, so this is standard output.
        _forget_output()
        return _refuse(f"standard output: cannot write ({error.strerror or error})")
    except (_Interrupted, KeyboardInterrupt, typer.Abort) as interruption:
        console.say(str(interruption) or "interrupted")
        return 130


def _open_standard_streams() -> None:
    """Give closed standard streams to the null device, so that no file is opened under their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _forget_output() -> None:
    """Nobody takes standard output any more; the interpreter would complain again when it closes it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _hint(error: Exception) -> str:
    option = getattr(error, "option_name", None)
    return "" if option is None else f" To say a text that begins with '-', put -- in front of it: -- '{option} ...'"


def _refuse(message: str) -> int:
    console.say(f"error: {' '.join(message.split())}")
    return 2
