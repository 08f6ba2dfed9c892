"""`spear-accel serve`: what it refuses, and that it ends what it speaks when it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")

import httpx

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--voice", "nobody"), "nobody: no such voice"),
        (("--host", "203.0.113.7"), "cannot listen there"),
        (("--host", "no.such.host.invalid"), "cannot listen there"),
        (("--batch-size", "0"), "--batch-size 0: must be 1 or more"),
        (("--deadline", "0"), "--deadline 0.0: must be above 0"),
        (("--port", "70000"), "--port"),
        (("--origin", "x y"), "--origin 'x y': must be as browsers send it"),
        (("--origin", "https://example.com/page"), "--origin 'https://example.com/page': must be"),
        (("--origin", ""), "--origin '': must be"),
    ],
)
def test_mistakes(run: Run, shared_voice: Path, arguments: tuple[str, ...], said: str) -> None:
    voice = () if "--voice" in arguments else ("--voice", shared_voice)
    outcome = run("serve", "--port", "0", *voice, *arguments)
    assert outcome.code == 2 and said in outcome.err.splitlines()[-1]


@pytest.mark.parametrize("uri", ["", "10200", "tcp://host", "http://host:1"])
def test_an_address_of_wyoming_is_checked_before_a_voice_is_loaded(run: Run, uri: str) -> None:
    pytest.importorskip("wyoming", reason="Wyoming needs the extra wyoming")
    assert "give tcp://HOST:PORT" in run("serve", "--voice", "nobody", "--wyoming", uri).error_line


def test_without_the_package_of_wyoming_the_install_command_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wyoming", None)
    for name in [name for name in sys.modules if name.startswith("spear_accel.server.wyoming.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("event", "info", "audio", "error", "ping", "tts"):
        monkeypatch.setitem(sys.modules, f"wyoming.{name}", None)
    assert "pip install 'spear-accel[wyoming]'" in run("serve", "--wyoming", "stdio://").error_line


def test_an_empty_key_lets_nobody_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEAR_ACCEL_API_KEY", " ")
    assert "SPEAR_ACCEL_API_KEY is set and empty" in run("serve").error_line


def test_a_port_in_use(run: Run, shared_voice: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert "cannot listen there" in run("serve", "--port", port, "--voice", shared_voice).error_line


def test_sigterm_ends_what_is_spoken_and_then_the_server(shared_voice: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "import sys; from spear_accel.cli.main import run; sys.exit(run(sys.argv[1:]))"
    arguments = ["serve", "--voice", str(shared_voice), "--port", str(port), "--drain", "20"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen([sys.executable, "-c", start, *arguments], stderr=subprocess.PIPE, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 300
        while True:
            try:
                httpx.get(f"{url}/health")
                break
            except httpx.ConnectError:
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.1)
        body = {"input": "She sells sea shells by the shore. " * 25, "response_format": "wav"}
        with httpx.stream("POST", f"{url}/v1/audio/speech", json=body, timeout=30) as answer:
            chunks = answer.iter_raw()
            data = next(chunks)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            data += b"".join(chunks)
        assert len(data) > 200_000
        assert server.wait(20) in (0, -signal.SIGTERM)
    finally:
        server.kill()
        errors = server.communicate()[1].decode()
    assert "Traceback" not in errors
