"""Retries, candidates and what is kept, with a voice whose every outcome is scripted."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, cast

import pytest
import torch

from spear_accel import Voice
from spear_accel.alignment.attention import CoverageGuard, Reading
from spear_accel.alignment.viterbi import TextPath
from spear_accel.decoding import DecodeOptions, DecodeStats, Request, RequestOutput, RequestResult
from spear_accel.decoding.noise import retry_seed
from spear_accel.errors import UserError
from spear_accel.synth import Line, speaking
from spear_accel.synth.speaking import SpeakOptions, Spoken, Wanted, speak_lines
from spear_accel.text.plan import PlannedUtterance

SEEDS = [0, *(retry_seed(0, 1000 * number) for number in range(1, 10))]
"""Of the attempts at a line whose own seed is 0."""


@dataclass
class Outcome:
    """What a seed makes of a text."""

    stop: str = "eos"
    skipped: int = 0
    coverage: float = 1.0
    log_prob: float = -1.0
    silent: bool = False


@dataclass
class Script:
    """A voice that says "a. b" as two utterances; by text and attempt, what comes of it."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    backwards: bool = False
    model: object = None
    calls: list[list[int]] = field(default_factory=list)
    """Seeds of every batch."""
    read: list[str] = field(default_factory=list)
    """Readings that were asked for: "look" or "read"."""

    tokenizer: Any = field(default_factory=lambda: _Letters())

    def plan(self, text: str) -> list[PlannedUtterance]:
        if not text:
            raise UserError("nothing in the text can be read aloud")
        return [PlannedUtterance(part, 0.0, ()) for part in text.split(". ")]

    def decode_requests(self, source: Callable[[], Request | None], options: DecodeOptions) -> Iterator[RequestOutput]:
        """All that waits is decoded before more is asked for."""
        numbers = count()
        while batch := [(next(numbers), request) for request in iter(source, None)]:
            self.calls.append([int(request.seed or 0) for _, request in batch])
            yield from map(self._finished, reversed(batch) if self.backwards else batch)

    def _finished(self, asked: tuple[int, Request]) -> RequestOutput:
        index, request = asked
        text, number = bytes(request.text).decode(), SEEDS.index(int(request.seed or 0))
        outcome = self.outcome(text, number)
        said = [] if outcome.silent else [number, *request.text]
        stats = DecodeStats(1, 1, 0, 0, 1, 0.0)
        tokens = torch.tensor(said)
        return RequestOutput(index, index, tokens, RequestResult(tokens, outcome.stop, SEEDS[number], 1, stats))

    def outcome(self, text: str, number: int) -> Outcome:
        scripted = self.outcomes.get(text, [])
        return scripted[number] if number < len(scripted) else Outcome()


class _Letters:
    @staticmethod
    def encode(text: str) -> list[int]:
        return list(text.encode())


GOOD, LOOP, SKIPS = Outcome(), Outcome(stop="loop"), Outcome(skipped=9, coverage=0.5)
OPTIONS = SpeakOptions(DecodeOptions())


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    voice = Script()

    def reading(kind: str, ids: Sequence[int], tokens: torch.Tensor) -> Reading:
        voice.read.append(kind)
        outcome = voice.outcome(bytes(ids).decode(), int(tokens[0]))
        path = TextPath(outcome.coverage, outcome.skipped, 3, 0, 0)
        return Reading(path, 0.9, outcome.log_prob if kind == "read" else None)

    monkeypatch.setattr(speaking, "look_back", lambda _, ids, tokens: reading("look", ids, tokens))
    monkeypatch.setattr(speaking, "read_back", lambda _, ids, tokens: reading("read", ids, tokens))
    return voice


def speak(script: Script, *texts: str, options: SpeakOptions = OPTIONS, tried: int = 0) -> dict[str, Spoken]:
    wanted = [Wanted(Line(number, text or "empty", text), tried) for number, text in enumerate(texts, 1)]
    spoken = speak_lines(cast(Voice, script), wanted, options)
    return {one.line.id: one for one in spoken}


def test_a_good_line_takes_one_attempt(script: Script) -> None:
    spoken = speak(script, "a. b")["a. b"]
    assert spoken.whole and spoken.fault is None and not spoken.warnings
    assert (spoken.seeds, spoken.retries, spoken.attempts) == ([0, 0], 0, 1)
    assert [one.tolist() for one in spoken.said] == [[0, ord("a")], [0, ord("b")]]
    assert {place: reading.coverage for place, reading in spoken.readings.items()} == {0: 1.0, 1: 1.0}
    assert script.read == ["look", "look"]


@pytest.mark.parametrize("bad", [LOOP, Outcome(stop="max_length"), Outcome(silent=True), SKIPS])
def test_a_bad_attempt_is_made_again_with_the_next_seed(script: Script, bad: Outcome) -> None:
    script.outcomes["a"] = [bad, bad, GOOD]
    spoken = speak(script, "a. b")["a. b"]
    assert (spoken.seeds, spoken.retries, spoken.attempts) == ([SEEDS[2], 0], 2, 3)
    assert spoken.fault is None and not spoken.warnings
    assert script.calls == [[0, 0], [SEEDS[1]], [SEEDS[2]]]


@pytest.mark.parametrize(
    ("bad", "why"),
    [(LOOP, "loop"), (Outcome(stop="max_length"), "max_length"), (Outcome(silent=True), "nothing was said")],
)
def test_a_line_that_never_ends_well_fails(script: Script, bad: Outcome, why: str) -> None:
    script.outcomes["b"] = [bad] * 3
    spoken = speak(script, "a. b")["a. b"]
    assert spoken.fault == f"{why} in 'b', 2 retries"
    assert (spoken.retries, spoken.attempts) == (2, 3)


def test_skipped_words_never_cost_the_line(script: Script) -> None:
    script.outcomes["a"] = [SKIPS, replace(SKIPS, skipped=6, coverage=0.8), LOOP]
    spoken = speak(script, "a")["a"]
    assert spoken.fault is None and spoken.seeds == [SEEDS[1]]
    assert spoken.warnings == ["skips 6 letters of the text near letter 4 in 'a', 2 retries"]
    assert spoken.readings[0].coverage == 0.8
    same = [replace(SKIPS), replace(SKIPS), replace(SKIPS)]
    script.outcomes["a"] = same
    assert speak(script, "a")["a"].seeds == [0]


def test_without_coverage_nothing_is_read_back(script: Script) -> None:
    script.outcomes["a"] = [SKIPS]
    spoken = speak(script, "a", options=replace(OPTIONS, coverage=False))["a"]
    assert spoken.seeds == [0] and not spoken.readings and not script.read


def test_the_likeliest_candidate_is_kept(script: Script) -> None:
    script.outcomes["a"] = [Outcome(log_prob=-1.5), Outcome(log_prob=-1.2), Outcome(log_prob=-1.2), LOOP]
    spoken = speak(script, "a", "b", options=replace(OPTIONS, candidates=4))
    assert spoken["a"].seeds == [SEEDS[1]]  # of equals the earliest
    assert spoken["b"].seeds == [0]
    assert (spoken["a"].retries, spoken["a"].attempts) == (0, 4)
    assert script.calls == [SEEDS[:4] * 2]  # one batch
    assert spoken["a"].readings[0].log_prob == -1.2


def test_candidates_that_say_their_text_come_first(script: Script) -> None:
    script.outcomes["a"] = [replace(SKIPS, log_prob=-0.1), Outcome(log_prob=-3.0)]
    both = replace(OPTIONS, candidates=2)
    assert speak(script, "a", options=both)["a"].seeds == [SEEDS[1]]
    assert speak(script, "a", options=replace(both, coverage=False))["a"].seeds == [0]


def test_candidates_are_followed_by_retries(script: Script) -> None:
    script.outcomes["a"] = [LOOP, SKIPS, SKIPS, GOOD]
    spoken = speak(script, "a", options=replace(OPTIONS, candidates=2))["a"]
    assert (spoken.seeds, spoken.retries, spoken.attempts) == ([SEEDS[3]], 2, 4)


def test_earlier_runs_have_used_their_seeds(script: Script) -> None:
    script.outcomes["a"] = [GOOD] * 3 + [LOOP]
    spoken = speak(script, "a", tried=3)["a"]
    assert (spoken.seeds, spoken.retries, spoken.attempts) == ([SEEDS[4]], 1, 5)


@pytest.mark.parametrize("candidates", [1, 2])
def test_neighbours_and_order_change_nothing(script: Script, candidates: int) -> None:
    script.outcomes = {
        "a": [LOOP, SKIPS, GOOD], "b": [SKIPS] * 4, "c": [LOOP] * 4, "d": [Outcome(silent=True)] * 4,
        "e": [Outcome(log_prob=-2.0)],
    }  # fmt: skip
    options = replace(OPTIONS, candidates=candidates)
    texts = ["a. e", "c. d. b", "b. a", "f", ""]
    together = speak(script, *texts, options=options)
    script.backwards = True
    for found in (speak(script, *reversed(texts), options=options), {}):
        for text in texts:
            name = text or "empty"
            alone = found[name] if found else speak(script, text, options=options)[name]
            assert _facts(alone) == _facts(together[name])


def _facts(spoken: Spoken) -> tuple[object, ...]:
    tokens = {place: one.tolist() for place, one in sorted(spoken.tokens.items())}
    return tokens, spoken.used, spoken.readings, spoken.retries, spoken.attempts, spoken.fault, spoken.warnings


def test_a_line_crosses_processes(script: Script) -> None:
    spoken = speak(script, "a. b")["a. b"]
    assert _facts(pickle.loads(pickle.dumps(spoken))) == _facts(spoken)


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match="retries"):
        replace(OPTIONS, retries=-1)
    with pytest.raises(UserError, match="candidates"):
        replace(OPTIONS, candidates=0)


def test_a_real_voice_is_read_back(ending_voice: Any, lines: list[Line]) -> None:
    """Its untrained attention tells nothing, so no line is doubted; batch size and order change nothing."""
    voice = Voice.load(ending_voice)
    options = SpeakOptions(DecodeOptions(batch_size=3), candidates=2)
    few = {one.line.id: _facts(one) for one in speak_lines(voice, map(Wanted, lines[:6]), options)}
    wide = replace(options, decode=DecodeOptions(batch_size=16))
    assert {one.line.id: _facts(one) for one in speak_lines(voice, map(Wanted, lines[5::-1]), wide)} == few
    readings = [reading for facts in few.values() for reading in cast(dict[int, Reading], facts[2]).values()]
    assert readings and all(CoverageGuard().fault(reading) is None for reading in readings)
