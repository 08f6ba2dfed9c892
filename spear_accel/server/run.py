"""A server process: uvicorn with the application, from the port to a graceful end."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from spear_accel.errors import UserError
from spear_accel.server.app import Beside, create_app
from spear_accel.server.options import ServerOptions
from spear_accel.server.service import SpeechService, load_voices

__all__ = ["bound_socket", "serve"]


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        UserError: The address is in use or not of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"{host}:{port}: cannot listen there ({error}); choose another --host or --port") from error
    return bound


def serve(options: ServerOptions, host: str, port: int, wyoming: str | None = None, log_level: str = "info") -> None:
    """Serve until SIGINT or SIGTERM; then finish what is being spoken, as long as `options.drain` allows.

    Args:
        options: How to speak, and what to bear.
        host: Address for HTTP.
        port: Port for HTTP.
        wyoming: `tcp://HOST:PORT` to speak Wyoming beside HTTP, `stdio://` to speak it in place of HTTP.
        log_level: Of uvicorn.

    Raises:
        UserError: A voice cannot be loaded, or the address cannot be listened on.
    """
    beside: list[socket.socket] = []
    if wyoming is not None:
        from spear_accel.server.wyoming.listening import address_of, over_streams

        address = address_of(wyoming)
        if address is None:
            asyncio.run(over_streams(SpeechService(load_voices(options), options)))
            return
        beside.append(bound_socket(address.host, address.port))
    listening = bound_socket(host, port)
    service = SpeechService(load_voices(options), options)
    config = uvicorn.Config(
        create_app(service, *(_wyoming(service, bound) for bound in beside)),
        log_level=log_level,
        timeout_graceful_shutdown=max(1, round(options.drain)),
        server_header=False,
        ws_max_size=options.largest_body,
        access_log=log_level in ("debug", "trace"),
    )
    uvicorn.Server(config).run(sockets=[listening])


def _wyoming(service: SpeechService, bound: socket.socket) -> Beside:
    from spear_accel.server.wyoming.listening import listening

    return lambda: listening(service, bound)
