"""One voice, many threads: they share batches, and each hears what it would hear alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from spear_accel import DecodeOptions, Voice
from spear_accel.errors import UserError

TEXTS = (
    "The quick brown fox.",
    "She sells sea shells, and the shells are fine.",
    "Nothing at all!",
    "It was a cold night.",
)


@pytest.fixture
def voice(shared_voice: Path) -> Voice:
    return Voice.load(shared_voice)


def test_four_threads_speak_stream_and_decode_with_one_voice(voice: Voice, shared_voice: Path) -> None:
    def call(number: int) -> list[int]:
        text, seed = TEXTS[number % 4], number
        if number < 4:
            return voice.speak(text, seed=seed).tokens.tolist()
        if number < 8:
            return [token for piece in voice.stream(text, seed=seed) for token in piece.tokens.tolist()]
        return voice.text_to_semantic([text], DecodeOptions(seed=seed, temperature=0.1 * number)).tokens[0].tolist()

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(call, range(12)))
    voice = Voice.load(shared_voice)
    assert together == [call(number) for number in range(12)]


def test_what_an_engine_has_learned_stays(voice: Voice) -> None:
    options = DecodeOptions(method="ngram")
    first = voice.engine(options)
    assert voice.engine(DecodeOptions(method="ngram", seed=9, temperature=0.3, top_k=5)) is first
    assert voice.engine(DecodeOptions(method="ngram", batch_size=3)) is not first


def test_engines_nobody_uses_are_given_up(voice: Voice) -> None:
    kept = voice.engine(DecodeOptions(batch_size=1))
    busy = voice.engine(DecodeOptions(batch_size=2))
    busy.add(voice.request(TEXTS[0]))
    others = [voice.engine(DecodeOptions(batch_size=size)) for size in range(3, 8)]
    assert voice.engine(DecodeOptions(batch_size=1)) is not kept
    assert voice.engine(DecodeOptions(batch_size=2)) is busy
    assert voice.engine(DecodeOptions(batch_size=7)) is others[-1]


def test_a_request_is_of_one_utterance_that_can_be_read(voice: Voice) -> None:
    engine = voice.engine(DecodeOptions(batch_size=2))
    with engine.session() as session:
        session.add(voice.request(TEXTS[1], DecodeOptions(seed=4)))
        [output] = list(session.outputs())
    assert torch.equal(output.new_tokens, voice.text_to_semantic([TEXTS[1]], DecodeOptions(seed=4)).tokens[0])
    with pytest.raises(UserError, match="nothing in the text can be read aloud"):
        voice.request("...")
