"""Batches, captions, and text that comes over a WebSocket while it is written."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from spear_accel import DecodeOptions, Voice
from spear_accel.audio.writer import pcm16
from tests.server.conftest import TEXT, Running, running
from tests.server.test_speech import decoded, expected, samples


def test_a_batch_answers_in_order_and_a_wrong_item_fails_alone(served: Running) -> None:
    items = [
        {"input": TEXT, "seed": 3}, {"input": ""}, {"input": "Yes!", "voice": "nobody"}, {"input": 7},
        {"input": "Yes!", "speed": 1.5, "return_timestamps": True}, {"input": "&&"},
    ]  # fmt: skip
    body = {"items": items, "response_format": "wav", "seed": 5, "voice": "tiny"}
    with served.client() as client:
        answer = client.post("/v1/audio/speech/batch", json=body).raise_for_status().json()
    results = answer["results"]
    assert [result["index"] for result in results] == list(range(6))
    assert [result["status"] for result in results] == ["ok", "error", "error", "error", "ok", "error"]
    assert (answer["succeeded"], answer["failed"]) == (2, 4)
    assert results[2]["error"]["code"] == "voice_not_found" and results[3]["error"]["param"] == "input"
    for result, wanted in ((results[0], expected(served)), (results[4], expected(served, 5, 1.5, "Yes!"))):
        found, rate = decoded(base64.b64decode(result["audio"]))
        assert len(found) == len(wanted) == round(result["duration"] * rate)
        np.testing.assert_allclose(found, wanted / 32767, atol=2 / 32767)
    assert results[4]["words"][0]["word"] == "Yes" and "words" not in results[0]
    served.quiet()


def test_a_batch_counts_as_one_request_of_all_its_text(served_voice: Voice) -> None:
    with running(served_voice, most_requests=1, most_text=100) as server, server.client() as client:
        one = {"input": "Yes! " * 8}
        assert client.post("/v1/audio/speech/batch", json={"items": [one, one]}).json()["succeeded"] == 2
        answer = client.post("/v1/audio/speech/batch", json={"items": [one] * 3})
        assert answer.status_code == 429
        for items in ([], [one] * 1001, "text", [5]):
            assert client.post("/v1/audio/speech/batch", json={"items": items}).status_code == 400


@pytest.mark.parametrize("path", ["/v1/audio/speech/captioned", "/dev/captioned_speech"])
@pytest.mark.parametrize("stream", [True, False])
def test_captions_come_with_their_sound(served: Running, path: str, stream: bool) -> None:
    body = {"input": TEXT, "response_format": "pcm", "seed": 3, "stream": stream}
    with served.client() as client:
        lines = [json.loads(line) for line in client.post(path, json=body).raise_for_status().text.splitlines()]
    assert (len(lines) > 2) is stream
    sound = b"".join(base64.b64decode(line["audio"]) for line in lines)
    assert np.abs(samples(sound).astype(int) - expected(served)).max() <= 2
    words = [word for line in lines for word in line["timestamps"]]
    wanted = served.voice.speak(TEXT, DecodeOptions(seed=3), words=True).words
    assert [word["word"] for word in words] == [word.word for word in wanted]
    assert [word["start_time"] for word in words] == [round(word.start, 3) for word in wanted]


def socket(server: Running, **start: object) -> ClientConnection:
    connection = connect(f"{server.url.replace('http', 'ws')}/v1/audio/speech/stream")
    connection.send(json.dumps({"type": "start", **start}))
    return connection


def say(connection: ClientConnection, **message: object) -> None:
    connection.send(json.dumps(message))


def received(connection: ClientConnection) -> tuple[bytes, list[dict[str, Any]]]:
    """Sound and messages up to the end."""
    sound, messages = b"", []
    with suppress(ConnectionClosed):
        while True:
            message = connection.recv(timeout=30)
            if isinstance(message, bytes):
                sound += message
            else:
                messages.append(json.loads(message))
    return sound, messages


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_text_in_pieces_sounds_as_the_whole(served: Running, size: int) -> None:
    with socket(served, voice="tiny", seed=3, return_timestamps=True) as connection:
        letters = iter(TEXT)
        while piece := "".join(islice(letters, size)):
            say(connection, type="text", text=piece)
        say(connection, type="end")
        sound, messages = received(connection)
    assert np.abs(samples(sound).astype(int) - expected(served)).max() <= 2
    assert messages[-1]["type"] == "speech.audio.done" and messages[-1]["usage"]["output_tokens"] > 0
    words = [word for message in messages for word in message.get("words", ())]
    assert words == [word.to_dict() for word in served.voice.speak(TEXT, DecodeOptions(seed=3), words=True).words]
    served.quiet()


def test_a_flush_is_heard_before_the_text_ends(served: Running) -> None:
    with socket(served, seed=3) as connection:
        say(connection, type="text", text="Yes! It was a cold")
        say(connection, type="flush")
        heard = b""
        wanted = len(pcm16(served.voice.speak("Yes! It was a cold", seed=3).waveform.numpy()))
        while len(heard) < wanted:
            heard += bytes(connection.recv(timeout=20))
        assert len(heard) == wanted
        say(connection, type="text", text="night.")
        say(connection, type="end")
        more, messages = received(connection)
    assert len(more) > 1000 and messages[-1]["type"] == "speech.audio.done"


@pytest.mark.parametrize(
    "wrong",
    [
        '{"type": "text"}', '{"type": "text", "text": 5}', '{"type": "sing"}', "[]", "not json", "[" * 5000,
        b"\x00\x01", '{"type": "text", "text": "\\ud83d"}',
    ],
    ids=lambda wrong: str(wrong)[:20],
)  # fmt: skip
def test_wrong_messages_are_told_and_end_the_conversation(served: Running, wrong: str | bytes) -> None:
    with socket(served) as connection:
        connection.send(wrong)
        _, messages = received(connection)
    assert messages[-1]["type"] == "error" and messages[-1]["error"]["type"] == "invalid_request_error"
    served.quiet()


def test_wrong_beginnings_and_bytes_that_are_no_text(served: Running) -> None:
    for fields, param in (({"voice": "nobody"}, "voice"), ({"speed": 9}, "speed"), ({"type": "text"}, "type")):
        with socket(served, **fields) as connection:
            say(connection, type="end")
            assert received(connection)[1][-1]["error"]["param"] == param
    with socket(served) as connection:
        connection.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed):
            while True:
                connection.recv(timeout=10)
    served.quiet()


def test_who_leaves_in_the_middle_leaves_no_row(served: Running) -> None:
    for _ in range(5):
        connection = socket(served)
        say(connection, type="text", text=TEXT * 20)
        connection.recv(timeout=20)
        connection.close()
    abrupt = socket(served)
    say(abrupt, type="text", text=TEXT * 20)
    abrupt.socket.close()
    served.quiet()


def test_too_much_text_ends_a_conversation(served_voice: Voice) -> None:
    with running(served_voice, longest_text=200) as server, socket(server) as connection:
        for _ in range(5):
            say(connection, type="text", text=TEXT)
        _, messages = received(connection)
        assert messages[-1]["error"]["code"] == "text_too_long"


def test_pages_of_other_hosts_and_wrong_keys_stay_out(served_voice: Voice) -> None:
    with running(served_voice, api_key="secret") as server:
        url = f"{server.url.replace('http', 'ws')}/v1/audio/speech/stream"
        right = {"Authorization": "Bearer secret"}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {**right, "Origin": "https://evil.example"}):
            with pytest.raises(InvalidStatus):
                connect(url, additional_headers=headers)
        with connect(url, additional_headers=right) as connection:
            connection.send("{}")
            say(connection, type="end")
            assert received(connection)[1][-1]["type"] == "speech.audio.done"
