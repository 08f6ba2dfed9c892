"""Wyoming: the package's own client against a running server, Home Assistant's order of events, what is no event."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("wyoming", reason="Wyoming needs the extra wyoming")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, Eventable, read_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from spear_accel import Voice
from spear_accel.audio.writer import pcm16
from spear_accel.errors import UserError
from spear_accel.server.errors import ApiError
from spear_accel.server.run import bound_socket
from spear_accel.server.wyoming import events
from spear_accel.server.wyoming.listening import Address, address_of, listening
from tests.server.conftest import TEXT, Running, running

ROOT = Path(__file__).parents[2]
HELLO = "Hello there, small boat."


@dataclass
class Heard:
    """What a server sent."""

    rate: int | None = None
    sound: bytes = b""
    kinds: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Wyoming:
    server: Running
    port: int

    def talk(self, conversation: Callable[[AsyncTcpClient], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            async with AsyncTcpClient("127.0.0.1", self.port) as client:
                return await asyncio.wait_for(conversation(client), 60)

        return asyncio.run(whole())

    def said(self, sent: list[Eventable], end: str) -> Heard:
        """Send events, and listen up to the first event of a kind."""

        async def conversation(client: AsyncTcpClient) -> Heard:
            for one in sent:
                await client.write_event(one.event())
            return await heard(client, end)

        answer: Heard = self.talk(conversation)
        return answer


async def heard(client: AsyncTcpClient, end: str) -> Heard:
    found = Heard()
    while (event := await client.read_event()) is not None:
        found.kinds.append(event.type)
        if AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            assert (start.width, start.channels) == (2, 1)
            found.rate = start.rate
        elif AudioChunk.is_type(event.type):
            found.sound += AudioChunk.from_event(event).audio
        elif Error.is_type(event.type):
            found.errors.append(Error.from_event(event).text)
        if event.type == end:
            return found
    raise AssertionError(f"the connection ended without {end}: {found.kinds}, {found.errors}")


@pytest.fixture(scope="module")
def wyoming(served_voice: Voice) -> Iterator[Wyoming]:
    bound = bound_socket("127.0.0.1", 0)
    with running(served_voice, lambda service: listening(service, bound), batch_size=8, longest_text=1000) as server:
        yield Wyoming(server, bound.getsockname()[1])


def spoken_alone(voice: Voice, text: str) -> bytes:
    return b"".join(pcm16(piece.waveform.numpy()) for piece in voice.stream(text))


def alike(sound: bytes, alone: bytes) -> bool:
    """A batch of another size adds the acoustic stage's sums in another order: samples may differ in their last bit."""
    if len(sound) != len(alone):
        return False
    difference = np.frombuffer(sound, "<i2").astype(int) - np.frombuffer(alone, "<i2").astype(int)
    return bool(abs(difference).max(initial=0) <= 2)


def test_says_what_voices_there_are(wyoming: Wyoming) -> None:
    async def conversation(client: AsyncTcpClient) -> Info:
        await client.write_event(Ping("x").event())
        pong = await client.read_event()
        assert pong is not None and Pong.from_event(pong).text == "x"
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None and Info.is_type(event.type)
        return Info.from_event(event)

    [program] = wyoming.talk(conversation).tts
    assert program.name == "spear-accel" and program.installed and program.supports_synthesize_streaming
    [voice] = program.voices
    assert voice.name == "tiny" and voice.languages == [wyoming.server.voice.card.language] and voice.installed


def test_the_sound_is_that_of_the_voice(wyoming: Wyoming) -> None:
    answer = wyoming.said([Synthesize(TEXT, SynthesizeVoice(name="tiny"))], "audio-stop")
    assert answer.rate == wyoming.server.voice.sample_rate and not answer.errors
    assert answer.kinds[0] == "audio-start" and set(answer.kinds[1:-1]) == {"audio-chunk"}
    assert alike(answer.sound, spoken_alone(wyoming.server.voice, TEXT))
    wyoming.server.quiet()


@pytest.mark.parametrize("size", [1, 3, 17, 1000])
def test_home_assistants_order_of_events(wyoming: Wyoming, size: int) -> None:
    """Chunks that end anywhere, then the whole text once more for old servers, then the end."""
    chunks = [TEXT[first : first + size] for first in range(0, len(TEXT), size)]
    voice = SynthesizeVoice(name="tiny")
    sent = [SynthesizeStart(voice), *map(SynthesizeChunk, chunks), Synthesize(TEXT, voice), SynthesizeStop()]
    answer = wyoming.said(sent, "synthesize-stopped")
    assert answer.kinds[0] == "audio-start" and answer.kinds[-2:] == ["audio-stop", "synthesize-stopped"]
    assert answer.kinds.count("audio-start") == 1 and not answer.errors
    assert alike(answer.sound, spoken_alone(wyoming.server.voice, TEXT))
    wyoming.server.quiet()


def test_sound_comes_before_the_text_has_ended(wyoming: Wyoming) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        await client.write_event(SynthesizeStart().event())
        await client.write_event(SynthesizeChunk(TEXT).event())
        event = await client.read_event()
        assert event is not None and AudioStart.is_type(event.type)
        await client.write_event(SynthesizeStop().event())
        await heard(client, "synthesize-stopped")

    wyoming.talk(conversation)


def test_a_voice_by_its_language_and_none_at_all(wyoming: Wyoming) -> None:
    language = wyoming.server.voice.card.language
    for voice in (None, SynthesizeVoice(), SynthesizeVoice(language=language), SynthesizeVoice(language="en_GB")):
        assert wyoming.said([Synthesize(HELLO, voice)], "audio-stop").sound


def test_several_texts_follow_each_other_on_one_connection(wyoming: Wyoming) -> None:
    async def conversation(client: AsyncTcpClient) -> tuple[Heard, Heard]:
        await client.write_event(Synthesize(HELLO).event())
        await client.write_event(Synthesize(TEXT).event())
        return await heard(client, "audio-stop"), await heard(client, "audio-stop")

    first, second = wyoming.talk(conversation)
    assert alike(first.sound, spoken_alone(wyoming.server.voice, HELLO))
    assert alike(second.sound, spoken_alone(wyoming.server.voice, TEXT))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Synthesize(HELLO, SynthesizeVoice(name="../etc")).event(), "voice '../etc' is not here; there are: tiny"),
        (Synthesize(HELLO, SynthesizeVoice(language="pl")).event(), "no voice speaks pl; there are: en"),
        (Synthesize("").event(), "nothing in the text can be read aloud"),
        (Synthesize("a " * 600).event(), "the text has more than 1000 characters"),
        (Event("synthesize", {}), "text: Field required"),
        (Event("synthesize", {"text": 5}), "text: Input should be a valid string"),
        (Event("synthesize", {"text": "Hi", "voice": "tiny"}), "voice: Input should be"),
        (SynthesizeChunk("Hi").event(), "send synthesize-start first"),
        (SynthesizeStop().event(), "send synthesize-start first"),
    ],
)
def test_a_fault_is_told_and_the_connection_stays(wyoming: Wyoming, event: Event, said: str) -> None:
    async def conversation(client: AsyncTcpClient) -> Heard:
        await client.write_event(event)
        answer = await heard(client, "error")
        await client.write_event(Synthesize(HELLO).event())
        assert (await heard(client, "audio-stop")).sound
        return answer

    [error] = wyoming.talk(conversation).errors
    assert said in error
    wyoming.server.quiet()


def test_a_streamed_text_that_fails_is_ended(wyoming: Wyoming) -> None:
    sent = [SynthesizeStart(), *[SynthesizeChunk("word " * 50) for _ in range(200)], SynthesizeStop()]
    answer = wyoming.said(sent, "synthesize-stopped")
    assert any("more than 1000 characters" in error for error in answer.errors)
    wyoming.server.quiet()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "an event is a line with a JSON object"),
        (b"\xff\xfe\n", "an event is a line with a JSON object"),
        (b"[1]\n", "an event is a line with a JSON object"),
        (b'{"data": {}}\n', "an event needs a type"),
        (b'{"type": "synthesize", "data_length": 99999999999}\n', "send the text in parts"),
        (b'{"type": "synthesize", "data_length": -1}\n', "must be whole numbers"),
        (b'{"type": "synthesize", "data_length": "x"}\n', "must be whole numbers"),
        (b'{"type": "synthesize", "data_length": 3}\n{x}', "an event is a line with a JSON object"),
        (b"x" * 200_000, "the header of an event has more than"),
        (b"[" * 60_000 + b"\n", "an event is a line with a JSON object"),
    ],
)
def test_what_is_no_event_ends_the_connection_and_nothing_else(wyoming: Wyoming, data: bytes, said: str) -> None:
    with socket.create_connection(("127.0.0.1", wyoming.port), timeout=30) as client:
        client.sendall(data)
        with client.makefile("rb") as file:
            event = read_event(file)
            assert event is not None and said in Error.from_event(event).text
            assert file.read() == b""
    wyoming.server.quiet()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_an_event_the_end_or_an_error(data: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader(limit=events.MOST_HEADER)
        reader.feed_data(data)
        reader.feed_eof()
        try:
            while await events.read_event(reader, 1000) is not None:
                pass
        except ApiError as error:
            assert error.status_code in (400, 413)

    asyncio.run(read())


@pytest.mark.parametrize("moment", ["asked", "started", "sounding", "feeding"])
def test_a_client_that_leaves_frees_its_rows(wyoming: Wyoming, moment: str) -> None:
    gone = wyoming.server.service.metrics.gone._value.get()

    async def conversation(client: AsyncTcpClient) -> None:
        if moment == "feeding":
            await client.write_event(SynthesizeStart().event())
            await client.write_event(SynthesizeChunk(TEXT).event())
        else:
            await client.write_event(Synthesize(TEXT).event())
        for _ in range({"asked": 0, "started": 1, "sounding": 2, "feeding": 2}[moment]):
            await client.read_event()

    wyoming.talk(conversation)
    wyoming.server.quiet()
    assert wyoming.server.service.metrics.gone._value.get() >= gone


def test_many_clients_hear_what_each_would_hear_alone(wyoming: Wyoming) -> None:
    texts = [f"{HELLO} It is {number} o'clock." for number in range(1, 13)]

    async def one(text: str) -> bytes:
        async with AsyncTcpClient("127.0.0.1", wyoming.port) as client:
            await client.write_event(Synthesize(text).event())
            return (await heard(client, "audio-stop")).sound

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*map(one, texts))

    for text, sound in zip(texts, asyncio.run(all_of_them()), strict=True):
        assert alike(sound, spoken_alone(wyoming.server.voice, text))


def test_what_is_spoken_ends_when_the_server_stops(served_voice: Voice) -> None:
    bound = bound_socket("127.0.0.1", 0)
    port = bound.getsockname()[1]
    with running(served_voice, lambda service: listening(service, bound), batch_size=8) as server:
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        file = client.makefile("rwb")
        _write(file, Synthesize(TEXT).event())
        assert read_event(file) is not None
        del server
    kinds = []
    while (event := read_event(file)) is not None:
        kinds.append(event.type)
    assert kinds[-1] == AudioStop().event().type
    client.close()


def _write(file: Any, event: Event) -> None:
    data = json.dumps(event.data).encode()
    file.write(json.dumps({"type": event.type, "data_length": len(data)}).encode() + b"\n" + data)
    file.flush()


@pytest.mark.parametrize(
    ("uri", "address"),
    [("tcp://0.0.0.0:10200", Address("0.0.0.0", 10200)), ("tcp://[::1]:1/", Address("::1", 1)), ("stdio://", None)],
)
def test_addresses(uri: str, address: Address | None) -> None:
    assert address_of(uri) == address


@pytest.mark.parametrize("uri", ["", "10200", "tcp://", "tcp://host", "tcp://host:x", "http://host:1", "tcp://h:99999"])
def test_what_is_no_address(uri: str) -> None:
    with pytest.raises(UserError, match="give tcp://HOST:PORT"):
        address_of(uri)


def process(voice: Path) -> subprocess.Popen[bytes]:
    start = "import sys; from spear_accel.cli.main import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "serve", "--voice", str(voice), "--wyoming", "stdio://"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def kinds_of(process: subprocess.Popen[bytes]) -> list[str]:
    kinds = []
    while (event := read_event(process.stdout)) is not None:  # type: ignore[arg-type]
        kinds.append(event.type)
    return kinds


def test_over_standard_streams_to_the_end_of_the_input(shared_voice: Path) -> None:
    running = process(shared_voice)
    assert running.stdin is not None
    for one in (Describe(), Synthesize(HELLO)):
        _write(running.stdin, one.event())
    running.stdin.close()
    kinds = kinds_of(running)
    assert running.wait(60) == 0
    assert kinds[:2] == ["info", "audio-start"] and kinds[-1] == "audio-stop"


@pytest.mark.slow
def test_over_standard_streams_sigterm_ends_what_is_spoken(shared_voice: Path) -> None:
    running = process(shared_voice)
    assert running.stdin is not None
    _write(running.stdin, Synthesize(TEXT).event())
    assert read_event(running.stdout) is not None  # type: ignore[arg-type]
    running.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert kinds_of(running)[-1] == "audio-stop" and running.wait(60) == 0
    assert time.monotonic() - started < 30


def test_stopped_is_the_event_that_home_assistant_waits_for() -> None:
    assert SynthesizeStopped().event().type == "synthesize-stopped"
