"""`spear-accel serve`: speech over HTTP for many clients at once."""

from __future__ import annotations

from typing import Annotated

import typer

from spear_accel.cli import console
from spear_accel.cli.decode_options import Device
from spear_accel.errors import UserError

_LOCAL = ("127.0.0.1", "::1", "localhost")


def serve(
    voice: Annotated[
        list[str], typer.Option(help="Name or folder of a voice; repeat it for more. The first is the default.")
    ] = ["kathleen"],  # noqa: B006
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8880,
    wyoming: Annotated[
        str | None,
        typer.Option(
            help="Speak Wyoming (Home Assistant) too, at tcp://HOST:PORT; with stdio:// in place of HTTP, over "
            "standard input and output."
        ),
    ] = None,
    device: Device = "cpu",
    batch_size: Annotated[int, typer.Option(help="Utterances decoded at once, of all clients together.")] = 32,
    most_requests: Annotated[
        int, typer.Option(help="Requests that are spoken or wait; more are refused with 429.")
    ] = 64,
    longest_text: Annotated[int, typer.Option(help="Characters of one request, at most.")] = 20_000,
    most_text: Annotated[int, typer.Option(help="Characters of all requests at once, at most.")] = 200_000,
    deadline: Annotated[float, typer.Option(help="Seconds from a request to its last byte, at most.")] = 600.0,
    drain: Annotated[float, typer.Option(help="Seconds that requests may take to end when the server stops.")] = 30.0,
    coverage: Annotated[
        bool, typer.Option(help="Count and log utterances that skip or repeat words of their text.")
    ] = True,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A web page's origin that may use the server (CORS), as https://example.com; repeatable."),
    ] = None,
) -> None:
    """Serve speech in OpenAI's interface. A key that clients must send is taken from SPEAR_ACCEL_API_KEY."""
    try:
        from spear_accel.server.options import ServerOptions, key_of_environment
        from spear_accel.server.run import serve as run
    except ModuleNotFoundError as error:
        raise UserError(f"serving needs {error.name}; install it with: pip install 'spear-accel[serve]'") from error
    if wyoming is not None:
        _check_wyoming(wyoming)
    from spear_accel.kernels import threads

    options = ServerOptions(
        voices=tuple(voice),
        device=device,
        batch_size=batch_size,
        most_requests=most_requests,
        longest_text=longest_text,
        most_text=most_text,
        deadline=deadline,
        drain=drain,
        coverage=coverage,
        origins=tuple(origin or ()),
        api_key=key_of_environment(),
    )
    if host not in _LOCAL and options.api_key is None:
        console.warn(f"{host}: other machines may use this server without a key; set SPEAR_ACCEL_API_KEY")
    threads.apply()
    run(options, host, port, wyoming)


def _check_wyoming(uri: str) -> None:
    """Before anything is loaded: is the package there, and the address one?"""
    try:
        from spear_accel.server.wyoming.listening import address_of
    except ModuleNotFoundError as error:
        raise UserError(f"--wyoming needs {error.name}; install it with: pip install 'spear-accel[wyoming]'") from error
    address = address_of(uri)
    if address is not None and address.host not in _LOCAL:
        console.warn(f"{address.host}: other machines may use the Wyoming port; the protocol has no keys")
