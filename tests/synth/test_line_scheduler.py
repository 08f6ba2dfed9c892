"""Retries, candidates and what is kept, with a voice whose every outcome is scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, cast

import pytest
import torch

from spear_accel import Voice
from spear_accel.alignment.attention import AlignmentScore, CoverageGuard
from spear_accel.alignment.coverage import Alignment
from spear_accel.decoding import DecodeOptions, DecodeStats, Request, RequestOutput, RequestResult
from spear_accel.decoding.noise import retry_seed
from spear_accel.errors import UserError
from spear_accel.synth import Line, line_scheduler
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.line_scheduler import LineOptions, decode_lines
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
    scored: list[str] = field(default_factory=list)
    """What was asked for: "align" or "score"."""

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
OPTIONS = LineOptions(DecodeOptions())


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    voice = Script()

    def scored(kind: str, ids: Sequence[int], tokens: torch.Tensor) -> AlignmentScore:
        voice.scored.append(kind)
        outcome = voice.outcome(bytes(ids).decode(), int(tokens[0]))
        alignment = Alignment((), outcome.coverage, outcome.skipped, 3, 0, 0)
        return AlignmentScore(alignment, 0.9, outcome.log_prob if kind == "score" else None)

    monkeypatch.setattr(line_scheduler, "align", lambda _, ids, tokens: scored("align", ids, tokens))
    monkeypatch.setattr(line_scheduler, "score", lambda _, ids, tokens: scored("score", ids, tokens))
    return voice


def decode(
    script: Script, *texts: str, options: LineOptions = OPTIONS, previous_attempts: int = 0
) -> dict[str, LineJob]:
    lines = [Line(number, f"line-{number}", text) for number, text in enumerate(texts, 1)]
    jobs = [LineJob(line, "script", previous_attempts) for line in lines]
    return {job.line.text: job for job in decode_lines(cast(Voice, script), jobs, options)}


def seeds(job: LineJob) -> list[int]:
    """Of the attempts that are kept."""
    return [attempt.seed for attempt in job.kept]


def score_of(job: LineJob, utterance: int) -> AlignmentScore:
    score = job.kept[utterance].score
    assert score is not None
    return score


def test_a_good_line_takes_one_attempt(script: Script) -> None:
    job = decode(script, "a. b")["a. b"]
    assert job.finished and job.fault is None and not job.warnings
    assert (seeds(job), job.retries, job.attempts) == ([0, 0], 0, 1)
    assert [tokens.tolist() for tokens in job.tokens] == [[0, ord("a")], [0, ord("b")]]
    assert [score_of(job, utterance).coverage for utterance in (0, 1)] == [1.0, 1.0]
    assert job.normalized_text == "a b"
    assert script.scored == ["align", "align"]


@pytest.mark.parametrize("bad", [LOOP, Outcome(stop="max_length"), Outcome(silent=True), SKIPS])
def test_a_bad_attempt_is_made_again_with_the_next_seed(script: Script, bad: Outcome) -> None:
    script.outcomes["a"] = [bad, bad, GOOD]
    job = decode(script, "a. b")["a. b"]
    assert (seeds(job), job.retries, job.attempts) == ([SEEDS[2], 0], 2, 3)
    assert job.fault is None and not job.warnings
    assert script.calls == [[0, 0], [SEEDS[1]], [SEEDS[2]]]


@pytest.mark.parametrize(
    ("bad", "why"),
    [(LOOP, "loop"), (Outcome(stop="max_length"), "max_length"), (Outcome(silent=True), "nothing was said")],
)
def test_a_line_that_never_ends_well_fails(script: Script, bad: Outcome, why: str) -> None:
    script.outcomes["b"] = [bad] * 3
    job = decode(script, "a. b")["a. b"]
    assert job.fault == f"{why} in 'b', 2 retries"
    assert (job.retries, job.attempts) == (2, 3)


def test_skipped_words_never_cost_the_line(script: Script) -> None:
    script.outcomes["a"] = [SKIPS, replace(SKIPS, skipped=6, coverage=0.8), LOOP]
    job = decode(script, "a")["a"]
    assert job.fault is None and seeds(job) == [SEEDS[1]]
    assert job.warnings == ["skips 6 letters of the text near letter 4 in 'a', 2 retries"]
    assert score_of(job, 0).coverage == 0.8
    same = [replace(SKIPS), replace(SKIPS), replace(SKIPS)]
    script.outcomes["a"] = same
    assert seeds(decode(script, "a")["a"]) == [0]


def test_without_coverage_nothing_is_scored(script: Script) -> None:
    script.outcomes["a"] = [SKIPS]
    job = decode(script, "a", options=replace(OPTIONS, coverage=False))["a"]
    assert seeds(job) == [0] and job.kept[0].score is None and not script.scored


def test_the_likeliest_candidate_is_kept(script: Script) -> None:
    script.outcomes["a"] = [Outcome(log_prob=-1.5), Outcome(log_prob=-1.2), Outcome(log_prob=-1.2), LOOP]
    jobs = decode(script, "a", "b", options=replace(OPTIONS, candidates=4))
    assert seeds(jobs["a"]) == [SEEDS[1]]  # of equals the earliest
    assert seeds(jobs["b"]) == [0]
    assert (jobs["a"].retries, jobs["a"].attempts) == (0, 4)
    assert script.calls == [SEEDS[:4] * 2]  # one batch
    assert score_of(jobs["a"], 0).log_prob == -1.2


def test_candidates_that_say_their_text_come_first(script: Script) -> None:
    script.outcomes["a"] = [replace(SKIPS, log_prob=-0.1), Outcome(log_prob=-3.0)]
    both = replace(OPTIONS, candidates=2)
    assert seeds(decode(script, "a", options=both)["a"]) == [SEEDS[1]]
    assert seeds(decode(script, "a", options=replace(both, coverage=False))["a"]) == [0]


def test_candidates_are_followed_by_retries(script: Script) -> None:
    script.outcomes["a"] = [LOOP, SKIPS, SKIPS, GOOD]
    job = decode(script, "a", options=replace(OPTIONS, candidates=2))["a"]
    assert (seeds(job), job.retries, job.attempts) == ([SEEDS[3]], 2, 4)


def test_earlier_runs_have_used_their_seeds(script: Script) -> None:
    script.outcomes["a"] = [GOOD] * 3 + [LOOP]
    job = decode(script, "a", previous_attempts=3)["a"]
    assert (seeds(job), job.retries, job.attempts) == ([SEEDS[4]], 1, 5)


@pytest.mark.parametrize("candidates", [1, 2])
def test_neighbours_and_order_change_nothing(script: Script, candidates: int) -> None:
    script.outcomes = {
        "a": [LOOP, SKIPS, GOOD], "b": [SKIPS] * 4, "c": [LOOP] * 4, "d": [Outcome(silent=True)] * 4,
        "e": [Outcome(log_prob=-2.0)],
    }  # fmt: skip
    options = replace(OPTIONS, candidates=candidates)
    texts = ["a. e", "c. d. b", "b. a", "f", "..."]
    together = decode(script, *texts, options=options)
    script.backwards = True
    for found in (decode(script, *reversed(texts), options=options), {}):
        for text in texts:
            alone = found[text] if found else decode(script, text, options=options)[text]
            assert facts(alone) == facts(together[text])


def facts(job: LineJob) -> tuple[object, ...]:
    tokens = [tokens.tolist() for tokens in job.tokens]
    scores = [attempt.score for attempt in job.kept]
    return tokens, seeds(job), scores, job.retries, job.attempts, job.fault, job.warnings


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match="retries"):
        replace(OPTIONS, retries=-1)
    with pytest.raises(UserError, match="candidates"):
        replace(OPTIONS, candidates=0)


def test_a_real_voice_is_scored(ending_voice: Any, lines: list[Line]) -> None:
    """Its untrained attention tells nothing, so no line is doubted; batch size and order change nothing."""
    voice = Voice.load(ending_voice)
    narrow = LineOptions(DecodeOptions(batch_size=3), candidates=2)
    wide = replace(narrow, decode=DecodeOptions(batch_size=16))

    def found(lines: list[Line], options: LineOptions) -> dict[str, tuple[object, ...]]:
        jobs = decode_lines(voice, [LineJob(line, "tiny") for line in lines], options)
        return {job.line.id: facts(job) for job in jobs}

    few = found(lines[:6], narrow)
    assert found(lines[5::-1], wide) == few
    scores = [score for line in few.values() for score in cast(list[AlignmentScore], line[2])]
    assert scores and all(CoverageGuard().fault(score) is None for score in scores)
