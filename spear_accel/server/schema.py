"""What clients send. OpenAI's fields, and those that other servers have added and clients use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from spear_accel.checks import FASTEST, SLOWEST

__all__ = ["BatchItem", "BatchRequest", "Delivery", "SpeechRequest", "StreamStart"]


def _sound_text(text: object) -> object:
    if isinstance(text, str) and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds half a surrogate pair; send whole characters")
    return text


def _named_voice(voice: object) -> object:
    return voice.get("id") if isinstance(voice, dict) and set(voice) == {"id"} else voice


def _known_format(format: object) -> object:
    if format == "aac":
        raise ValueError("aac is not written here; choose mp3, opus, flac, wav or pcm")
    return format


Text = Annotated[str, BeforeValidator(_sound_text)]
VoiceField = Annotated[Annotated[str, StringConstraints(max_length=200)] | None, BeforeValidator(_named_voice)]
Format = Annotated[Literal["mp3", "opus", "flac", "wav", "pcm"], BeforeValidator(_known_format)]


class Delivery(BaseModel):
    """How a text is spoken, whatever way it comes. Unknown fields are ignored, as clients send many."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    model: str = "spear-accel"
    voice: VoiceField = None
    """A name, or {"id": name}; the first voice where there is none."""
    speed: float = Field(1.0, ge=SLOWEST, le=FASTEST)
    instructions: str | None = None
    """Taken and not followed: no voice can be told how to speak."""
    language: str | None = None
    """Taken and not followed: a voice has one language."""
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    method: str | None = Field(None, max_length=60)
    lexicon: dict[str, str] = Field({}, max_length=1000)
    """Words and phrases, and how each is read."""
    return_timestamps: bool = False
    """Whether the times of words are wanted."""


class SpeechRequest(Delivery):
    """`POST /v1/audio/speech`."""

    input: Text
    response_format: Format = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool = True
    """Whether the sound is sent while it is made."""


class BatchItem(Delivery):
    """One text of a batch; what it leaves open, the batch says."""

    input: Text


class BatchRequest(Delivery):
    """`POST /v1/audio/speech/batch`."""

    items: list[dict[str, Any]] = Field(min_length=1, max_length=1000)
    """Each as `BatchItem`; one that is wrong fails alone."""
    response_format: Format = "mp3"


class StreamStart(Delivery):
    """The first message of a WebSocket."""

    response_format: Format = "pcm"
