"""One voice, many threads: they share batches, and each hears what it would hear alone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_speaks(shared_voice: Path) -> None:
    """After the parent has computed with two threads, which a fork does not take along."""
    script = (
        "import os, sys, torch\n"
        "torch.set_num_threads(2)\n"
        "from spear_accel import Voice\n"
        "voice = Voice.load(sys.argv[1])\n"
        "said = voice.speak('A cold night, and a long one.').tokens.tolist()\n"
        "torch.ones(600, 600) @ torch.ones(600, 600)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if voice.speak('A cold night, and a long one.').tokens.tolist() == said else 3)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-c", script, str(shared_voice)]
    assert subprocess.run(command, env=environment, timeout=120, check=False).returncode == 0


def test_a_text_is_no_list_of_texts(voice: Voice) -> None:
    with pytest.raises(UserError, match="takes a list of texts"):
        voice.text_to_semantic("Hello")


@pytest.mark.parametrize("speed", [0, float("nan"), 3.0, "fast"])
def test_a_tempo_out_of_range_is_refused_before_decoding(voice: Voice, speed: float) -> None:
    for call in (voice.speak, lambda text, speed: next(voice.stream(text, speed=speed))):
        with pytest.raises(UserError, match=r"speed must be between 0\.5 and 2"):
            call(TEXTS[0], speed=speed)


def test_numbers_of_numpy_are_numbers(voice: Voice) -> None:
    options = DecodeOptions(seed=np.int64(3), batch_size=np.int32(4), temperature=np.float64(0.7), top_k=np.int8(5))
    plain = DecodeOptions(seed=3, batch_size=4, temperature=0.7, top_k=5)
    assert options == plain
    assert torch.equal(voice.speak(TEXTS[0], seed=np.int64(4)).tokens, voice.speak(TEXTS[0], seed=4).tokens)


def test_a_model_of_nan_is_an_error(voice: Voice) -> None:
    with torch.no_grad():
        voice.model.decoder.embedding.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="the model returns NaN"):
        voice.speak(TEXTS[0])
