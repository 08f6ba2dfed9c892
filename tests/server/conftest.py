"""A running server with a tiny voice, on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from spear_accel import Voice

pytest.importorskip("fastapi", reason="the server needs the extra serve")

import uvicorn

from spear_accel.server.app import create_app
from spear_accel.server.options import ServerOptions
from spear_accel.server.run import bound_socket
from spear_accel.server.service import SpeechService

TEXT = "The quick brown fox jumps over the lazy dog. Yes! She sells sea shells by the shore, and the shells are fine."


@dataclass
class Running:
    """A server of this process."""

    url: str
    service: SpeechService
    voice: Voice

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)

    def quiet(self) -> None:
        """Waits until nobody is spoken to."""
        end = time.monotonic() + 10
        while self.service.admission.requests or self.service.live:
            assert time.monotonic() < end, "rows or requests are left"
            time.sleep(0.01)


@contextmanager
def running(
    voice: Voice, beside: Callable[[SpeechService], AbstractAsyncContextManager[None]] | None = None, **options: object
) -> Iterator[Running]:
    """For the length of a block; beside: what else is served with the same service."""
    service = SpeechService({"tiny": voice}, ServerOptions(voices=("tiny",), **options))  # type: ignore[arg-type]
    listening = bound_socket("127.0.0.1", 0)
    app = create_app(service) if beside is None else create_app(service, partial(beside, service))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", service, voice)
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def served_voice(shared_voice: Path) -> Voice:
    return Voice.load(shared_voice)


@pytest.fixture(scope="session")
def served(served_voice: Voice) -> Iterator[Running]:
    """One server for all tests that change nothing of it."""
    with running(served_voice, batch_size=8) as server:
        yield server
