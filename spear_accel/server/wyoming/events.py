"""What goes over the wire: events in, within bounds; what the voices are, out.

The package `wyoming` knows the events and how they are written. Reading is done here, since its reader takes events of
any size and ends without a word at the first that is broken.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from wyoming.event import Event
from wyoming.info import Attribution, Info, TtsProgram, TtsVoice

import spear_accel
from spear_accel.server.errors import ApiError, unsound
from spear_accel.server.schema import Delivery, Text
from spear_accel.server.speaker import Speaker

__all__ = ["MOST_HEADER", "Chunk", "Start", "Whole", "delivery", "described", "parsed", "read_event"]

MOST_HEADER = 64 * 1024
"""Bytes of the line in front of an event. Clients of the package send texts behind it."""
_HOME = "https://pypi.org/project/spear-accel/"


class _Fields(BaseModel):
    """Unknown fields are ignored: the protocol grows."""

    model_config = ConfigDict(strict=True, extra="ignore")


class VoiceWanted(_Fields):
    """The voice that a client names, or its language; a voice here has one speaker."""

    name: str | None = None
    language: str | None = None


class Start(_Fields):
    """`synthesize-start`."""

    voice: VoiceWanted | None = None


class Whole(Start):
    """`synthesize`."""

    text: Text


class Chunk(_Fields):
    """`synthesize-chunk`."""

    text: Text


def parsed(kind: type[_Fields], event: Event) -> Any:
    """The fields of an event. Raises ApiError: one is missing or of another type."""
    try:
        return kind.model_validate(event.data)
    except ValidationError as error:
        raise unsound(error.errors()) from error


async def read_event(reader: asyncio.StreamReader, most_bytes: int) -> Event | None:
    """The next event, or None where the stream ends.

    Raises:
        ApiError: 400, what came is no event; 413, it has more than `most_bytes` behind its header.
    """
    try:
        line = await reader.readline()
    except ValueError:
        raise ApiError(413, f"the header of an event has more than {MOST_HEADER} bytes") from None
    if not line.strip():
        return None if not line else await read_event(reader, most_bytes)
    header = _object(line)
    lengths = [header.get(name) or 0 for name in ("data_length", "payload_length")]
    if not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise ApiError(400, "data_length and payload_length must be whole numbers of at least 0")
    if sum(lengths) > most_bytes:
        raise ApiError(413, f"the event has more than {most_bytes} bytes; send the text in parts")
    try:
        data, payload = [await reader.readexactly(length) for length in lengths]
    except asyncio.IncompleteReadError:
        return None
    kind, fields = header.get("type"), header.get("data") or {}
    if not isinstance(kind, str) or not isinstance(fields, dict):
        raise ApiError(400, "an event needs a type, and its data must be a JSON object")
    return Event(kind, {**fields, **(_object(data) if data else {})}, payload or None)


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ApiError(400, "an event is a line with a JSON object, UTF-8; this is none")
    return found


def delivery(wanted: VoiceWanted | None, speakers: Mapping[str, Speaker]) -> Delivery:
    """How a text is spoken, for the voice that a client names or a voice of its language.

    Raises:
        ApiError: There is none of that language. A name that is not here is found later, by the service.
    """
    if wanted is None or (wanted.name is None and wanted.language is None):
        return Delivery.model_validate({})
    if wanted.name is not None:
        return Delivery.model_validate({"voice": wanted.name[:200]})
    language = _base(wanted.language or "")
    for name, speaker in speakers.items():
        if _base(speaker.voice.card.language) == language:
            return Delivery.model_validate({"voice": name})
    there = ", ".join(sorted({speaker.voice.card.language for speaker in speakers.values()}))
    raise ApiError(404, f"no voice speaks {wanted.language}; there are: {there}", code="voice_not_found")


def _base(language: str) -> str:
    """The language without its country: "en" of "en-US" and "en_GB"."""
    return language.replace("_", "-").partition("-")[0].lower()


def described(speakers: Mapping[str, Speaker]) -> Event:
    """`info`: one program and its voices."""
    version = spear_accel.__version__
    voices = [
        TtsVoice(
            name=name, languages=[speaker.voice.card.language], installed=True, version=version,
            description=f"{name} ({speaker.voice.card.language})",
            attribution=Attribution(speaker.voice.card.licence, speaker.voice.card.origin or _HOME),
        )
        for name, speaker in speakers.items()
    ]  # fmt: skip
    program = TtsProgram(
        name="spear-accel", description="Text to speech through semantic tokens", installed=True, version=version,
        attribution=Attribution("spear-accel", _HOME), voices=voices, supports_synthesize_streaming=True,
    )  # fmt: skip
    return Info(tts=[program]).event()
