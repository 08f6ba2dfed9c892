"""What a server is asked for, checked when it is chosen. Knows neither HTTP nor voices."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from spear_accel.errors import UserError

__all__ = ["API_KEY", "ServerOptions", "key_of_environment"]

API_KEY = "SPEAR_ACCEL_API_KEY"
"""The environment's variable with the key that clients must send."""
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
"""Scheme, host and port, without a path (RFC 6454): what the header Origin holds."""


@dataclass(frozen=True)
class ServerOptions:
    """How a server speaks and what it bears."""

    voices: tuple[str, ...] = ("kathleen",)
    """Names or folders; the first speaks where a request names none."""
    device: str = "cpu"
    batch_size: int = 32
    """Utterances that are decoded at once, of all clients together."""
    most_requests: int = 64
    """Spoken or waiting at once; more are refused with 429."""
    longest_text: int = 20_000
    """Characters of one request."""
    most_text: int = 200_000
    """Characters of all requests at once; more are refused with 429."""
    deadline: float = 600.0
    """Seconds from a request to its last byte."""
    drain: float = 30.0
    """Seconds that requests have to end in once the server is told to stop."""
    coverage: bool = True
    """Whether utterances that skip or repeat words of their text are counted and logged."""
    origins: tuple[str, ...] = ()
    """Web pages of other hosts that may use the server (CORS)."""
    api_key: str | None = None
    """What clients must send as bearer token; None: nothing."""

    def __post_init__(self) -> None:
        if not self.voices:
            raise UserError("a server needs a voice; give --voice")
        for name in ("batch_size", "most_requests", "longest_text", "most_text"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be 1 or more")
        for name in ("deadline", "drain"):
            if not getattr(self, name) > 0:
                raise UserError(f"--{name} {getattr(self, name)}: must be above 0 seconds")
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise UserError(f"--origin {origin!r}: must be as browsers send it, https://example.com[:PORT], or *")

    @property
    def largest_body(self) -> int:
        """Bytes of one request: a text may need several for each character, and a batch is several texts."""
        return 65_536 + 8 * max(self.longest_text, self.most_text)


def key_of_environment() -> str | None:
    """The API key that the environment gives.

    Raises:
        UserError: It is set and empty, which would let everybody in who expects to be asked.
    """
    key = os.environ.get(API_KEY)
    if key is not None and not key.strip():
        raise UserError(f"{API_KEY} is set and empty; give it a key, or unset it to ask for none")
    return None if key is None else key.strip()
