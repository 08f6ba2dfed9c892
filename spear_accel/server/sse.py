"""Server-sent events, as OpenAI's interface names them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

from spear_accel.server.errors import ApiError, error_of
from spear_accel.voice.speech import Speech

__all__ = ["events"]


def _event(kind: str, **fields: object) -> bytes:
    return f"data: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


async def events(
    sounds: AsyncIterator[tuple[Speech | None, bytes]], characters: int, words: bool
) -> AsyncIterator[bytes]:
    """Pieces of speech with their encoded sound as events; a fault behind the first of them is an event too."""
    tokens, started = 0, False
    try:
        async for piece, data in sounds:
            if data:
                started = True
                yield _event("speech.audio.delta", audio=base64.b64encode(data).decode())
            if piece is not None:
                tokens += len(piece.tokens)
                if words and piece.words:
                    yield _event("speech.audio.words", words=[word.to_dict() for word in piece.words])
    except Exception as fault:
        error: ApiError = error_of(fault)
        if not started:
            raise error from fault
        yield _event("error", **error.body)
        return
    usage = {"input_tokens": characters, "output_tokens": tokens, "total_tokens": characters + tokens}
    yield _event("speech.audio.done", usage=usage)
