"""`POST /v1/audio/speech` by OpenAI's own client: every format whole, streams early, events, and the same samples as
`Voice.speak`."""

from __future__ import annotations

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from openai import OpenAI

from spear_accel import DecodeOptions
from spear_accel.audio.writer import pcm16
from tests.server.conftest import TEXT, Running

FORMATS = ("mp3", "opus", "flac", "wav", "pcm")


def samples(data: bytes) -> np.ndarray:
    """int16 [n] of bare samples."""
    return np.frombuffer(data, dtype="<i2")


def decoded(data: bytes) -> tuple[np.ndarray, int]:
    """Samples and rate of any file, by FFmpeg."""
    with av.open(io.BytesIO(data)) as file:
        frames = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
        rate = file.streams.audio[0].rate
    joined = np.concatenate(frames)
    return joined / 32768 if joined.dtype.kind == "i" else joined, rate


@pytest.fixture
def openai(served: Running) -> OpenAI:
    return OpenAI(base_url=served.base, api_key="none", max_retries=0)


def expected(served: Running, seed: int = 3, speed: float = 1.0, text: str = TEXT) -> np.ndarray:
    speech = served.voice.speak(text, DecodeOptions(seed=seed), speed=speed)
    return samples(pcm16(speech.waveform.numpy()))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("stream", [True, False])
def test_every_format_is_whole_and_sounds_as_the_voice_speaks(
    served: Running, openai: OpenAI, format: str, stream: bool
) -> None:
    with openai.audio.speech.with_streaming_response.create(
        model="tts-1", voice="tiny", input=TEXT, response_format=format, extra_body={"seed": 3, "stream": stream}
    ) as response:
        parts = list(response.iter_bytes())
        kind = response.headers["content-type"]
    data, wanted = b"".join(parts), expected(served) / 32767
    assert kind.startswith("audio/")
    found, rate = (samples(data) / 32767, 24_000) if format == "pcm" else decoded(data)
    if format == "opus":
        assert rate == 48_000 and abs(len(found) / 2 - len(wanted)) < 1000
        return
    assert rate == 24_000
    if format == "mp3":
        assert 0 <= len(found) - len(wanted) < 3000
        return
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found, wanted, atol=2 / 32767)


@pytest.mark.parametrize("format", ["mp3", "opus", "flac"])
def test_no_click_where_pieces_join(served: Running, openai: OpenAI, format: str) -> None:
    """The largest step from sample to sample is about that of the whole sound, encoded at once."""
    settings = {"model": "tts-1", "voice": "tiny", "input": TEXT, "response_format": format}
    steps = []
    for stream in (True, False):
        data = openai.audio.speech.create(**settings, extra_body={"seed": 3, "stream": stream}).read()
        steps.append(float(np.abs(np.diff(decoded(data)[0])).max()))
    assert steps[0] <= 1.5 * steps[1] + 0.02


def test_seed_speed_and_temperature_are_those_of_the_voice(served: Running, openai: OpenAI) -> None:
    for fields, options, speed in (
        ({"seed": 9}, DecodeOptions(seed=9), 1.0),
        ({"seed": 9, "temperature": 0.0}, DecodeOptions(seed=9, temperature=0.0), 1.0),
        ({"seed": 9, "method": "autoregressive"}, DecodeOptions(seed=9), 1.5),
    ):
        heard = openai.audio.speech.create(
            model="tts-1", voice={"id": "tiny"}, input=TEXT, response_format="pcm", speed=speed, extra_body=fields
        ).read()
        wanted = samples(pcm16(served.voice.speak(TEXT, options, speed=speed).waveform.numpy()))
        assert np.abs(samples(heard).astype(int) - wanted).max() <= 2


def test_events_carry_the_sound_the_words_and_what_was_used(served: Running) -> None:
    body = {"input": TEXT, "response_format": "pcm", "stream_format": "sse", "seed": 3, "return_timestamps": True}
    with served.client() as client, client.stream("POST", "/v1/audio/speech", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    kinds = [event["type"] for event in events]
    assert kinds[-1] == "speech.audio.done" and set(kinds) == {
        "speech.audio.delta", "speech.audio.words", "speech.audio.done",
    }  # fmt: skip
    assert kinds.index("speech.audio.words") < len(kinds) - 2, "words come with their sentence"
    sound = b"".join(base64.b64decode(event["audio"]) for event in events if "audio" in event)
    assert np.abs(samples(sound).astype(int) - expected(served)).max() <= 2
    words = [word for event in events for word in event.get("words", ())]
    spoken = served.voice.speak(TEXT, DecodeOptions(seed=3), words=True)
    assert words == [word.to_dict() for word in spoken.words]
    usage = events[-1]["usage"]
    assert usage["input_tokens"] == len(TEXT) and usage["output_tokens"] == len(spoken.tokens)


def test_many_clients_at_once_hear_what_each_would_hear_alone(served: Running) -> None:
    """More of them than the eight rows of the batch, with texts, seeds and temperatures of their own."""
    texts = ("She sells.", "What did you say? Nothing!", "Yes! It was a cold night.")
    asked = [(texts[n % 3], n, (0.5, 0.9, 0.0)[n // 3]) for n in range(9)]

    def ask(text: str, seed: int, temperature: float) -> np.ndarray:
        body = {"input": text, "response_format": "pcm", "seed": seed, "temperature": temperature}
        with served.client() as client:
            return samples(client.post("/v1/audio/speech", json=body).raise_for_status().content)

    with ThreadPoolExecutor(len(asked)) as pool:
        heard = list(pool.map(lambda one: ask(*one), asked))
    for (text, seed, temperature), found in zip(asked, heard, strict=True):
        alone = served.voice.speak(text, DecodeOptions(seed=seed, temperature=temperature, batch_size=1))
        wanted = samples(pcm16(alone.waveform.numpy()))
        assert len(found) == len(wanted) and np.abs(found.astype(int) - wanted).max() <= 2
    served.quiet()


def test_a_lexicon_and_marks_in_the_text(served: Running) -> None:
    body = {"input": "She sells shells. [pause 700ms] Yes!", "lexicon": {"shells": "sea shells"}, "seed": 3}
    with served.client() as client:
        heard = client.post("/v1/audio/speech", json={**body, "response_format": "pcm"}).raise_for_status().content
    wanted = expected(served, text="She sells sea shells. [pause 700ms] Yes!")
    assert len(samples(heard)) == len(wanted) and np.abs(samples(heard).astype(int) - wanted).max() <= 2


def test_models_and_voices(openai: OpenAI, served: Running) -> None:
    assert [model.id for model in openai.models.list()] == ["spear-accel"]
    assert openai.models.retrieve("tts-1").id == "tts-1"
    with served.client() as client:
        [voice] = client.get("/v1/audio/voices").json()["voices"]
        assert voice["id"] == voice["name"] == "tiny" and voice["sample_rate"] == 24_000
        assert client.get("/health").json()["status"] == "ok"
        figures = client.get("/metrics").text
    assert 'spear_accel_requests_total{path="/v1/models",status="200"}' in figures
    assert "spear_accel_utterances_live 0.0" in figures
