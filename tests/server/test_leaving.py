"""Clients that leave, read slowly or never end a request: their rows are freed and nobody else waits for them."""

from __future__ import annotations

import json
import random
import socket
import time

import httpx
import pytest

from spear_accel import Voice
from spear_accel.server import gate
from tests.server.conftest import TEXT, Running, running

LONG = " ".join([TEXT] * 150)


def raw_request(server: Running, text: str, format: str = "wav") -> socket.socket:
    """A connection that has sent a request."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"input": text, "response_format": format}).encode()
    connection = socket.create_connection((host, int(port)), timeout=10)
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_clients_that_hang_up_leave_no_row_live(served: Running) -> None:
    """At every moment: before the first byte, at it, behind it; more of them than there are rows."""
    chance = random.Random(0)
    for _ in range(24):
        connection = raw_request(served, LONG)
        if chance.random() < 0.5:
            connection.recv(chance.choice((1, 100, 20_000)))
        if chance.random() < 0.3:
            # A reset instead of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()
    served.quiet()
    with served.client() as client:
        assert client.post("/v1/audio/speech", json={"input": "Yes!"}).status_code == 200
        assert "spear_accel_clients_gone_total" in client.get("/metrics").text


def test_slow_readers_and_half_open_requests_hold_nobody_back(served: Running) -> None:
    slow = [raw_request(served, LONG) for _ in range(6)]
    host, port = served.url.removeprefix("http://").split(":")
    half = [socket.create_connection((host, int(port))) for _ in range(50)]
    for connection in half[::2]:
        connection.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nContent-Length: 100\r\n")
    time.sleep(0.3)
    with served.client() as client:
        started = time.monotonic()
        assert client.post("/v1/audio/speech", json={"input": "Yes!"}).status_code == 200
        assert time.monotonic() - started < 5
    for connection in [*slow, *half]:
        connection.close()
    served.quiet()


def test_too_many_requests_are_told_when_to_come_again(served_voice: Voice) -> None:
    with running(served_voice, most_requests=2, batch_size=2) as server:
        held = [raw_request(server, LONG) for _ in range(2)]
        for connection in held:
            assert connection.recv(1)
        with server.client() as client:
            answer = client.post("/v1/audio/speech", json={"input": "Yes!"})
            assert answer.status_code == 429 and 1 <= int(answer.headers["Retry-After"]) <= 60
            assert answer.json()["error"]["type"] == "rate_limit_error"
            for connection in held:
                connection.close()
            server.quiet()
            assert client.post("/v1/audio/speech", json={"input": "Yes!"}).status_code == 200


def test_too_much_text_at_once_is_refused(served_voice: Voice) -> None:
    with running(served_voice, most_text=len(LONG) + 50) as server, server.client() as client:
        with client.stream("POST", "/v1/audio/speech", json={"input": LONG, "response_format": "wav"}) as held:
            sound = held.iter_raw()
            assert next(sound)
            answer = client.post("/v1/audio/speech", json={"input": TEXT})
            assert answer.status_code == 429 and "characters" in answer.json()["error"]["message"]
            sound.close()
        server.quiet()
        assert client.post("/v1/audio/speech", json={"input": TEXT}).status_code == 200


def test_a_request_ends_with_its_time(served_voice: Voice) -> None:
    with running(served_voice, deadline=1.0) as server, server.client() as client:
        with (
            pytest.raises(httpx.RemoteProtocolError),
            client.stream("POST", "/v1/audio/speech", json={"input": LONG[:4000], "response_format": "pcm"}) as answer,
        ):
            for _ in answer.iter_raw():
                pass
        server.quiet()
        late = client.post("/v1/audio/speech", json={"input": LONG, "stream": False})
        assert late.status_code == 503 and late.json()["error"]["code"] == "deadline"


def test_a_body_that_does_not_come_is_not_waited_for(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_BODY_SECONDS", 0.2)
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Content-Length: 99\r\n\r\n{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


def test_an_engine_that_breaks_is_replaced(served_voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in decoding is the end of the requests that were decoded, and of no other."""
    with running(served_voice) as server, server.client() as client:
        [speaker] = server.service.speakers.values()
        [engine] = speaker._engines.values()

        def broken(*arguments: object) -> None:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(engine, "_step", broken)
        answer = client.post("/v1/audio/speech", json={"input": TEXT})
        assert answer.status_code == 500 and "out of memory" not in answer.text
        assert client.post("/v1/audio/speech", json={"input": TEXT}).status_code == 200
