"""Where Wyoming is spoken: a TCP port, in the event loop of the HTTP server, or the standard streams of a process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio

from spear_accel.errors import UserError
from spear_accel.server.service import SpeechService
from spear_accel.server.wyoming.events import MOST_HEADER
from spear_accel.server.wyoming.session import Session

__all__ = ["STDIO", "Address", "address_of", "listening", "over_streams"]

STDIO = "stdio://"


@dataclass(frozen=True)
class Address:
    """Of a TCP port."""

    host: str
    port: int


def address_of(uri: str) -> Address | None:
    """The address in `tcp://HOST:PORT`; None for `stdio://`.

    Raises:
        UserError: It is neither.
    """
    if uri == STDIO:
        return None
    try:
        parts = urlsplit(uri)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None and not parts.path.strip("/"):
            return Address(parts.hostname, parts.port)
    except ValueError:
        pass
    raise UserError(f"--wyoming {uri}: give tcp://HOST:PORT, such as tcp://0.0.0.0:10200, or {STDIO}")


@asynccontextmanager
async def listening(service: SpeechService, bound: socket.socket) -> AsyncIterator[None]:
    """Serve on a bound socket within a block; at its end what is spoken may end too, as long as `options.drain`."""
    sessions: set[asyncio.Task[None]] = set()
    stopping = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions.add(task)
        session = Session(service, reader, writer)
        reading = asyncio.create_task(session.run())
        ending = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set():
                await session.finish()
        finally:
            session.stop()
            for one in (reading, ending):
                one.cancel()
            writer.close()
            sessions.discard(task)

    server = await asyncio.start_server(connected, sock=bound, limit=MOST_HEADER)
    try:
        yield
    finally:
        server.close()
        stopping.set()
        if sessions:
            await asyncio.wait(sessions, timeout=service.options.drain)
        for task in list(sessions):
            task.cancel()


async def over_streams(service: SpeechService) -> None:
    """Serve the one client at standard input and output, until it sends no more or the process is told to stop.

    Raises:
        UserError: The streams are neither pipes nor sockets nor a terminal.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MOST_HEADER)
    try:
        # Copies, since the loop closes its pipes.
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(0), "rb"))
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(os.dup(1), "wb", buffering=0)
        )
    except (ValueError, OSError) as error:
        raise UserError(f"--wyoming {STDIO}: standard input and output must be pipes ({error})") from error
    session = Session(service, reader, asyncio.StreamWriter(transport, protocol, None, loop))
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, reader.feed_eof)
    try:
        await service.start()
        await session.run()
        with anyio.move_on_after(service.options.drain):
            await session.finish()
    finally:
        session.stop()
        service.close()
