"""Streams of speech: joined they are the whole, early, in growing chunks, and cleanly closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spear_accel import DecodeOptions, Speech, Voice
from spear_accel.decoding import DecodeStats, RequestOutput, RequestResult
from spear_accel.errors import UserError
from spear_accel.text.plan import PlannedUtterance
from spear_accel.voice.parts import VoiceParts
from spear_accel.voice.streaming import CHUNKS, groups, stream

TEXT = (
    "The quick brown fox jumps over the lazy dog, and the shells are fine by the shore of the sea. Yes! "
    "He was forty-two years old; it was a cold night, so they came back from the market again and said nothing at all."
    "\n\nShe sells sea shells by the shore, and the shells are fine. What did you say?"
)
NO_COUNTS = DecodeStats(0, 0, 0, 0, 0, 0.0)


@pytest.fixture(scope="module")
def voice(shared_voice: Path) -> Voice:
    return Voice.load(shared_voice)


def joined(pieces: Sequence[Speech]) -> tuple[Tensor, Tensor]:
    return torch.cat([piece.waveform for piece in pieces]), torch.cat([piece.tokens for piece in pieces])


@pytest.mark.parametrize(
    ("options", "speed"),
    [
        (DecodeOptions(), 1.0),
        (DecodeOptions(batch_size=1, seed=2), 1.0),
        (DecodeOptions(batch_size=2, seed=3, temperature=1.0), 0.7),
        (DecodeOptions(method="ngram", draft_length=4, seed=4), 1.5),
        (DecodeOptions(method="autoregressive", seed=5, max_tokens=40), 2.0),
    ],
    ids=str,
)
def test_joined_it_is_the_whole(voice: Voice, options: DecodeOptions, speed: float) -> None:
    whole = voice.speak(TEXT, options, speed=speed)
    pieces = list(voice.stream(TEXT, options, speed=speed))
    waveform, tokens = joined(pieces)
    torch.testing.assert_close(waveform, whole.waveform, atol=1e-5, rtol=0)
    assert torch.equal(tokens, whole.tokens)
    said = [one for piece in pieces for one in piece.utterances]
    assert len(said) == len(whole.utterances) == 5
    for one, expected in zip(said, whole.utterances, strict=True):
        assert torch.equal(one.tokens, expected.tokens)
        assert (one.text, one.stop_reason, one.seed) == (expected.text, expected.stop_reason, expected.seed)
    assert tuple(line for piece in pieces for line in piece.warnings) == whole.warnings


def test_each_alone_is_the_whole_too(voice: Voice) -> None:
    each, whole = list(voice.speak_each(TEXT, seed=3)), voice.speak(TEXT, seed=3)
    assert [len(part.utterances) for part in each] == [1] * 5
    waveform, tokens = joined(each)
    torch.testing.assert_close(waveform, whole.waveform, atol=1e-5, rtol=0)
    assert torch.equal(tokens, whole.tokens)


def test_sound_comes_before_its_sentence_ends(voice: Voice) -> None:
    pieces = list(voice.stream(TEXT, seed=1))
    assert len(pieces) > 5
    assert not pieces[0].utterances and len(pieces[0].waveform)
    for piece in pieces:
        if not piece.utterances:
            assert piece.stats == NO_COUNTS and piece.warnings == ()
    spoken = [one for piece in pieces for one in piece.utterances]
    committed = sum(len(one.tokens) + (one.stop_reason == "eos") for one in spoken)
    assert DecodeStats.total([piece.stats for piece in pieces]).committed == committed


def test_the_first_sentence_is_decoded_alone_and_the_others_together(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    engine = voice.generator.engine
    monkeypatch.setattr(
        voice.generator, "engine", lambda count, options: (counts.append(count), engine(count, options))[1]
    )
    list(voice.stream(TEXT))
    assert counts == [1, 4]


def test_groups_bound_what_is_read_ahead() -> None:
    taken: list[int] = []
    numbers = (PlannedUtterance(str(taken.append(n) or n), 0.0, ()) for n in range(100))
    sizes = groups(numbers, (1, 3))
    assert [len(next(sizes)) for _ in range(3)] == [1, 3, 3]
    assert len(taken) == 7
    assert [len(group) for group in groups([], (1, 3))] == []


class Beeps:
    """A stage whose sound is its tokens, two samples each; it says when it is closed."""

    sample_rate, num_tokens = 10, 1000

    def __init__(self, takes: int = 10**6) -> None:
        """takes: chunks that a stream takes before it ends by itself."""
        self.takes = takes
        self.chunks: list[int] = []
        self.closed = False

    def __call__(self, tokens: Tensor, lengths: Tensor, speed: float = 1.0) -> tuple[Tensor, Tensor]:
        return tokens.repeat_interleave(2, dim=1).float(), 2 * lengths

    def stream(self, chunks: Iterable[Tensor], speed: float = 1.0) -> Iterator[Tensor]:
        try:
            for chunk, _ in zip(chunks, range(self.takes), strict=False):
                self.chunks.append(len(chunk))
                yield chunk.repeat_interleave(2).float()
        finally:
            self.closed = True


def ended(index: int, tokens: Sequence[int], new: Sequence[int], reason: str = "eos") -> RequestOutput:
    stats = DecodeStats(3, 3, 0, 0, len(tokens), 0.1)
    return RequestOutput(0, index, torch.tensor(new), RequestResult(torch.tensor(tokens), reason, 9, 1, stats))


def script(*given: RequestOutput) -> Iterator[RequestOutput]:
    yield from given


TWO = [PlannedUtterance("One.", 0.0, ("a note",)), PlannedUtterance("Two.", 0.5, ())]


def test_any_stage_will_do_and_pauses_stand_in_front() -> None:
    first = [RequestOutput(0, 0, torch.tensor([1, 2])), ended(0, [1, 2, 3], [3])]
    second = [ended(0, [7], [7], reason="loop")]
    turns = iter([first, second])
    pieces = list(stream(TWO, lambda group: script(*next(turns)), Beeps(), 1.0, 16))
    assert [piece.waveform.tolist() for piece in pieces] == [[1, 1, 2, 2], [3, 3], [0] * 5 + [7, 7]]
    assert [piece.tokens.tolist() for piece in pieces] == [[1, 2], [3], [7]]
    assert [piece.warnings for piece in pieces] == [(), ("a note",), ("cut off 'Two.' (loop); try another seed",)]
    assert [one.tokens.tolist() for piece in pieces for one in piece.utterances] == [[1, 2, 3], [7]]


def test_silence_where_nothing_was_said() -> None:
    nothing = ended(0, [], [])
    pieces = list(stream(TWO, lambda group: script(nothing), Beeps(), 1.0, 16))
    assert [len(piece.waveform) for piece in pieces] == [0, 5]
    assert pieces[1].warnings == ("said nothing for 'Two.' (eos); try another seed",)


def test_a_stage_that_stops_early_keeps_no_tokens_from_the_next() -> None:
    first = [RequestOutput(0, 0, torch.tensor([1])), RequestOutput(0, 0, torch.tensor([2])), ended(0, [1, 2, 3], [3])]
    turns = iter([first, [ended(0, [7], [7])]])
    pieces = list(stream(TWO, lambda group: script(*next(turns)), Beeps(takes=1), 1.0, 16))
    assert [piece.tokens.tolist() for piece in pieces] == [[1], [2, 3], [7]]


def test_chunks_grow(voice: Voice) -> None:
    beeps = Beeps()
    spoken = Voice(VoiceParts(voice.card, voice.tokenizer, voice.model, beeps))
    guard = replace(spoken.generator.stopping.length, tokens_per_unit=8.0, shortest=1.0)
    spoken.generator.stopping = replace(spoken.generator.stopping, length=guard)
    pieces = list(spoken.stream("The quick brown fox jumps over the lazy dog.", DecodeOptions(method="autoregressive")))
    assert beeps.chunks[:3] == list(CHUNKS[:3]), beeps.chunks
    assert [len(piece.tokens) for piece in pieces] == beeps.chunks


def test_closing_early_stops_everything(voice: Voice) -> None:
    closed: list[str] = []
    beeps = Beeps()

    def decode(group: Sequence[PlannedUtterance]) -> Iterator[RequestOutput]:
        try:
            while True:
                yield RequestOutput(0, 0, torch.tensor([1, 2]))
        finally:
            closed.append(group[0].text)

    speech = stream(TWO, decode, beeps, 1.0, 16)
    next(speech)
    speech.close()  # type: ignore[attr-defined]
    assert closed == ["One."] and beeps.closed
    real = voice.stream(TEXT)
    next(real)
    real.close()  # type: ignore[attr-defined]
    assert not torch.is_inference_mode_enabled()
    assert torch.equal(voice.speak("Yes!").tokens, voice.speak("Yes!").tokens)


def test_a_loop_before_any_sound_is_tried_again_as_ever(shared_voice: Path) -> None:
    """A model that holds one token: nothing certain was said, so all tries are made and the stream is the whole."""
    voice = Voice.load(shared_voice)
    logits = voice.model.decoder.logits

    def stuck(hidden: Tensor) -> Tensor:
        return logits(hidden) + 1000.0 * (torch.arange(voice.model.config.vocab) == 7)

    voice.model.decoder.logits = stuck  # type: ignore[method-assign]
    whole, [piece] = voice.speak(TEXT.split(".")[0]), list(voice.stream(TEXT.split(".")[0]))
    assert whole.utterances[0].stop_reason == piece.utterances[0].stop_reason == "loop"
    assert piece.utterances[0].seed == whole.utterances[0].seed != 0
    assert torch.equal(piece.tokens, whole.tokens)
    assert "(loop); try another seed" in piece.warnings[0]


def test_mistakes_are_told_at_the_first_step(voice: Voice) -> None:
    for text, speed, fault in (("", 1.0, "empty"), ("Yes!", 3.0, "speed")):
        speech = voice.stream(text, speed=speed)
        with pytest.raises(UserError, match=fault):
            next(speech)
