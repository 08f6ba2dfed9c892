"""Whatever comes in is answered with the one error body, and nothing else is disturbed."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI

from spear_accel import Voice
from tests.server.conftest import TEXT, Running, running


def fault(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """The error of a body, once it has OpenAI's shape."""
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and error["type"].endswith("_error") and status >= 400
    return error


@pytest.mark.parametrize(
    ("fields", "status", "param", "said"),
    [
        ({"input": ""}, 400, "input", "the text is empty"),
        ({"input": " \n"}, 400, "input", "the text is empty"),
        ({"input": "&& ..."}, 400, "input", "can be read aloud"),
        ({"input": None}, 400, "input", "valid string"),
        ({"input": 5}, 400, "input", "valid string"),
        ({"input": ["a"]}, 400, "input", "valid string"),
        ({"input": "half \ud83d"}, 400, "input", "surrogate"),
        ({"input": "a" * 30_000}, 413, "input", "more than 20000 characters"),
        ({"voice": "nobody"}, 404, "voice", "there are: tiny"),
        ({"voice": "../../etc/passwd"}, 404, "voice", "there are: tiny"),
        ({"voice": "/"}, 404, "voice", "there are: tiny"),
        ({"voice": {"name": "tiny"}}, 400, "voice", "valid string"),
        ({"voice": "x" * 500}, 400, "voice", "at most 200"),
        ({"model": "whisper-1"}, 404, "model", "not here"),
        ({"speed": 4}, 400, "speed", "less than or equal to 2"),
        ({"speed": "fast"}, 400, "speed", "valid number"),
        ({"speed": float("nan")}, 400, "speed", "finite"),
        ({"response_format": "aac"}, 400, "response_format", "aac is not written here"),
        ({"response_format": "exe"}, 400, "response_format", "'mp3'"),
        ({"stream_format": "xml"}, 400, "stream_format", "'audio' or 'sse'"),
        ({"seed": 1.5}, 400, "seed", "integer"),
        ({"seed": 2**70}, 400, "seed", ""),
        ({"temperature": -1}, 400, "temperature", "greater than or equal to 0"),
        ({"temperature": 1e-9}, 400, None, "temperature"),
        ({"lexicon": {"a": 5}}, 400, "lexicon.a", "valid string"),
        ({"lexicon": {"&&": "and"}}, 400, "input", "it is no word"),
        ({"input": "<speak>a"}, 400, "input", "not well-formed"),
        ({"input": "<!DOCTYPE x [<!ENTITY a 'b'>]><speak>&a;</speak>"}, 400, "input", "document type"),
        ({"method": "magic"}, 400, None, "method 'magic'"),
        ({"method": "prophet"}, 400, None, "head that this voice lacks"),
    ],
)
@pytest.mark.parametrize("form", ["audio", "sse"])
def test_wrong_fields(
    served: Running, fields: dict[str, Any], status: int, param: str | None, said: str, form: str
) -> None:
    body = json.dumps({"input": TEXT, "voice": "tiny", "stream_format": form, **fields})
    with served.client() as client:
        answer = client.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    error = fault(answer.status_code, answer.json())
    assert answer.status_code == status and said in error["message"]
    assert error["param"] in (param, None) if param is None else error["param"] == param


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"not json", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'"text"', "application/json"),
        (b'{"input": "a"', "application/json"),
        (b'{"input": "\xff"}', "application/json"),
        (b"[" * 20_000, "application/json"),
        (b'{"input": "a"}', "text/plain"),
        (b"input=a", "application/x-www-form-urlencoded"),
    ],
)
def test_bodies_that_are_no_request(served: Running, content: bytes, kind: str) -> None:
    with served.client() as client:
        answer = client.post("/v1/audio/speech", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    fault(400, answer.json())


def test_four_megabytes_of_text_are_refused_before_they_are_read(served: Running) -> None:
    with served.client() as client:
        answer = client.post("/v1/audio/speech", json={"input": "a" * 4_000_000})
        assert answer.status_code == 413 and fault(413, answer.json())["code"] == "request_too_large"
        # Without a length in front of it, too.
        pieces = (b" " * 100_000 for _ in range(40))
        answer = client.post("/v1/audio/speech", content=pieces, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413 and fault(413, answer.json())["code"] == "request_too_large"


def test_places_that_are_not_there(served: Running) -> None:
    with served.client() as client:
        for method, path, status in (
            ("GET", "/v1/nothing", 404), ("GET", "/v1/audio/speech", 405), ("GET", "/v1/models/../../etc", 404),
            ("POST", "/health", 405), ("GET", "/v1/models/gpt-9", 404), ("GET", "/docs", 404),
        ):  # fmt: skip
            answer = client.request(method, path)
            assert answer.status_code == status, path
            fault(status, answer.json())


@pytest.mark.parametrize(
    "data", [b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/audio/speech HTTP/1.1\r\n\r\n", b"\xff"]
)
def test_what_is_no_http(served: Running, data: bytes) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert b"Traceback" not in connection.recv(10_000)
    with served.client() as client:
        assert client.get("/health").status_code == 200


def test_the_openai_client_raises_its_own_errors(served: Running) -> None:
    client = OpenAI(base_url=served.base, api_key="none", max_retries=0)
    with pytest.raises(BadRequestError) as caught:
        client.audio.speech.create(model="tts-1", voice="tiny", input="...")
    assert caught.value.param == "input"
    with pytest.raises(NotFoundError) as missing:
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hi")
    assert missing.value.code == "voice_not_found"


def test_a_key_is_asked_for(served_voice: Voice) -> None:
    with running(served_voice, api_key="secret") as server:
        for key in ("wrong", "x", "secre", "sécret"):
            with server.client() as client:
                answer = client.get("/v1/models", headers={"Authorization": f"Bearer {key}".encode()})
                assert answer.status_code == 401 and fault(401, answer.json())["code"] == "invalid_api_key"
        with pytest.raises(AuthenticationError):
            OpenAI(base_url=server.base, api_key="wrong", max_retries=0).models.list()
        right = OpenAI(base_url=server.base, api_key="secret", max_retries=0)
        assert right.models.list().data
        assert right.audio.speech.create(model="tts-1", voice="tiny", input="Yes!", response_format="pcm").read()
        with server.client() as client:
            assert client.get("/health").status_code == 200
            assert client.get("/metrics").status_code == 401


def test_pages_of_other_hosts_stay_out_unless_named(served: Running, served_voice: Voice) -> None:
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    with served.client() as client:
        answer = client.options("/v1/audio/speech", headers=asked)
        assert "access-control-allow-origin" not in answer.headers
    with running(served_voice, origins=("https://example.com",), api_key="secret") as server, server.client() as client:
        answer = client.options("/v1/audio/speech", headers=asked)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://example.com"
        other = client.options("/v1/audio/speech", headers={**asked, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("field", ["voice", "instructions", "language", "seed", "temperature", "method"])
def test_null_is_as_if_the_field_were_not_there(served: Running, field: str) -> None:
    with served.client() as client:
        answer = client.post("/v1/audio/speech", json={"input": "Hello.", "response_format": "pcm", field: None})
        assert answer.status_code == 200 and answer.content


@pytest.mark.parametrize("field", ["speed", "lexicon", "model", "return_timestamps", "response_format", "stream"])
def test_null_where_a_value_is_needed_is_a_fault_of_the_request(served: Running, field: str) -> None:
    with served.client() as client:
        answer = client.post("/v1/audio/speech", json={"input": "Hello.", field: None})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == field
