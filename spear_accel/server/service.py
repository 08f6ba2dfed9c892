"""All that requests share: voices, limits, figures; and one request's way from its fields to pieces of speech.

Knows no HTTP.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import partial

from spear_accel.errors import UserError
from spear_accel.server.admission import Admission
from spear_accel.server.errors import ApiError, log
from spear_accel.server.metrics import Metrics
from spear_accel.server.options import ServerOptions
from spear_accel.server.schema import Delivery
from spear_accel.server.speaker import Manner, Speaker
from spear_accel.text.feed import TextFeed
from spear_accel.text.plan import PlannedUtterance
from spear_accel.text.respelling import Respellings
from spear_accel.timing.timer import WordTimer
from spear_accel.voice.speech import Speech
from spear_accel.voice.voice import Voice

__all__ = ["MODELS", "SpeechService", "load_voices"]

MODELS = ("spear-accel", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""The only model there is, and the names under which clients ask for it."""


class SpeechService:
    """What an application speaks with."""

    def __init__(self, voices: Mapping[str, Voice], options: ServerOptions) -> None:
        """voices: by the name that clients give; the first speaks where they give none."""
        self.options, self.metrics = options, Metrics()
        self.speakers = {name: Speaker(voice, options.batch_size, options.coverage) for name, voice in voices.items()}
        self.admission = Admission(options.most_requests, options.longest_text, options.most_text)
        watch = self.metrics.watch
        watch("requests_in_flight", "Requests that are spoken or wait.", lambda: self.admission.requests)
        watch("characters_in_flight", "Characters of their texts.", lambda: self.admission.characters)
        watch("utterances_live", "Utterances that are decoded or wait for it.", lambda: self.live)

    @property
    def live(self) -> int:
        """Utterances that are decoded or wait for it."""
        return sum(speaker.live for speaker in self.speakers.values())

    async def start(self) -> None:
        """Warm every voice up."""
        for speaker in self.speakers.values():
            await speaker.warm_up()

    def close(self) -> None:
        """Abort what is still spoken."""
        for speaker in self.speakers.values():
            speaker.close()

    def speaker(self, given: Delivery) -> Speaker:
        """The voice that a request names. Raises ApiError: it is not here, or cannot speak as the request wants it."""
        if given.model not in MODELS:
            raise ApiError(
                404, f"model {given.model!r} is not here; ask for {MODELS[0]!r}", code="model_not_found", param="model"
            )
        name = next(iter(self.speakers)) if given.voice is None else given.voice
        if name not in self.speakers:
            names = ", ".join(self.speakers)
            raise ApiError(
                404, f"voice {given.voice!r} is not here; there are: {names}", code="voice_not_found", param="voice"
            )
        try:
            self.speakers[name].check(manner_of(given))
        except UserError as error:
            raise ApiError(400, str(error), code="invalid_request") from error
        return self.speakers[name]

    async def speak(self, text: str, given: Delivery, words: bool = False) -> AsyncIterator[Speech]:
        """Pieces of speech of a whole text; closing the iterator aborts what is unfinished.

        Raises:
            ApiError: The text is too long, too much is going on, or a field is wrong.
        """
        with self.admission.admitted(len(text)):
            async with aclosing(self.speak_admitted(text, given, words)) as speech:  # type: ignore[type-var]
                async for piece in speech:
                    yield piece

    async def speak_admitted(self, text: str, given: Delivery, words: bool = False) -> AsyncIterator[Speech]:
        """`speak` for a text that was let in before."""
        started, first = time.monotonic(), True
        speaker = self.speaker(given)
        self.metrics.characters.inc(len(text))
        times = partial(WordTimer(speaker.voice.model, speaker.voice.tokenizer).times, text) if words else None
        try:
            speech = speaker.speak(speaker.read(text, _respellings(given)), manner_of(given), times)
            async with aclosing(speech):  # type: ignore[type-var]
                async for piece in speech:
                    if first and len(piece.waveform):
                        self.metrics.first_sound.observe(time.monotonic() - started)
                        first = False
                    self._count(piece)
                    yield piece
        except UserError as error:
            raise ApiError(400, str(error), code="invalid_request", param="input") from error
        finally:
            self.metrics.whole.observe(time.monotonic() - started)

    async def speak_feed(
        self, pieces: AsyncIterator[str | None], given: Delivery, words: bool = False
    ) -> AsyncIterator[Speech]:
        """`speak` for a text that comes in pieces; None among them ends a sentence there."""
        speaker = self.speaker(given)
        voice = speaker.voice
        respellings = _respellings(given)
        if respellings is not None:
            voice = voice.with_respellings(respellings)
        feed = TextFeed(voice.card.longest_utterance, voice.front_end)
        timer = WordTimer(voice.model, voice.tokenizer)

        async def utterances() -> AsyncIterator[PlannedUtterance]:
            async for piece in pieces:
                if piece is not None:
                    admitted.add(len(piece))
                    self.metrics.characters.inc(len(piece))
                found = speaker.reading(feed.flush) if piece is None else speaker.reading(feed.push, piece)
                for one in await found:
                    yield one
            for one in await speaker.reading(feed.flush):
                yield one

        with self.admission.admitted(0) as admitted:
            times = (lambda *asked: timer.times(feed.text, *asked)) if words else None
            speech = speaker.speak(utterances(), manner_of(given), times)
            async with aclosing(speech):  # type: ignore[type-var]
                async for piece in speech:
                    self._count(piece)
                    yield piece

    def _count(self, piece: Speech) -> None:
        self.metrics.sound.inc(piece.seconds)
        self.metrics.tokens.inc(len(piece.tokens))
        for doubt in (one.doubt for one in piece.utterances if one.doubt):
            self.metrics.doubtful.inc()
            log.warning("an utterance %s", doubt)


def _respellings(given: Delivery) -> Respellings | None:
    return Respellings(tuple(given.lexicon.items())) if given.lexicon else None


def manner_of(given: Delivery) -> Manner:
    return Manner(given.seed, given.temperature, given.method, given.speed)


def load_voices(options: ServerOptions) -> dict[str, Voice]:
    """The voices that a server is asked for, by the names of their cards.

    Raises:
        UserError: There is no such voice, it makes no sound, or two have one name.
    """
    voices: dict[str, Voice] = {}
    for name in options.voices:
        voice = Voice.load(name, device=options.device)
        if voice.acoustic is None:
            raise UserError(f"voice {name!r} ends at semantic tokens and cannot be served; take another voice")
        if voice.card.name in voices:
            raise UserError(
                f"--voice {name}: another voice is called {voice.card.name!r} too; rename one in voice.json"
            )
        voices[voice.card.name] = voice
    return voices
