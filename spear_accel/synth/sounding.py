"""The acoustic stage behind the decoder: a thread that makes sound of one line while the next are decoded.

The queue between them is bounded, so that a slow stage holds decoding back instead of filling the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from threading import Thread
from types import TracebackType

import numpy as np
import torch

from spear_accel.pipeline import Voice
from spear_accel.synth.speaking import Spoken
from spear_accel.synth.writers import Made

__all__ = ["Sounding"]

_WAITING = 64
"""Lines between decoder and stage."""


class Sounding:
    """A context: lines go in with `put`, and `keep` gets each with its sound, from one thread, in order."""

    def __init__(self, voice: Voice | None, keep: Callable[[Spoken, Made], None]) -> None:
        """voice: None makes no sound."""
        self._voice, self._keep = voice, keep
        self._queue: Queue[Spoken | None] = Queue(_WAITING)
        self._fault: BaseException | None = None
        self._thread = Thread(target=self._work, name="sounding", daemon=True)

    def __enter__(self) -> Sounding:
        self._thread.start()
        return self

    def put(self, spoken: Spoken) -> None:
        """Hand over a whole line; waits while the queue is full. Raises what has failed behind it."""
        self._raise()
        self._queue.put(spoken)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _work(self) -> None:
        while (spoken := self._queue.get()) is not None:
            if self._fault is not None:
                continue  # Emptied, so that `put` cannot wait for ever.
            try:
                self._keep(spoken, self._made(spoken))
            except BaseException as error:
                self._fault = error

    @torch.inference_mode()
    def _made(self, spoken: Spoken) -> Made:
        tokens = torch.cat(spoken.said).numpy().astype(np.int64)
        if self._voice is None:
            return Made(spoken.line.id, tokens, None, None)
        samples = self._voice.sound(spoken.planned, spoken.said, spoken.line.speed).numpy()
        return Made(spoken.line.id, tokens, samples, self._voice.sample_rate)
