"""A voice whose results are written down beforehand, so that every figure of a benchmark is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch

from spear_accel.bench import AUTOREGRESSIVE, Case, Run
from spear_accel.bench.records import Conditions
from spear_accel.decoding import DecodeOptions, DecodeResult, DecodeStats

VERSIONS = {"torch": "1", "spear_accel": "2", "python": "3"}
TOKENS = ((1, 2, 3), (4, 5))
PROPHET = Case("prophet", "coupled", 2)
MakeResult = Callable[..., DecodeResult]


def _plain(tokens: Sequence[Sequence[int]] = TOKENS, **counts: object) -> DecodeResult:
    """Counts of autoregressive decoding at batch size 2, unless given."""
    usual: dict[str, object] = {
        "target_calls": 4, "row_calls": 7, "drafted": 0, "accepted": 0, "committed": 7, "wall_seconds": 1.0,
        "target_seconds": 0.8,
    }  # fmt: skip
    rows = [torch.tensor(row, dtype=torch.int64) for row in tokens]
    number = len(rows)
    stats = DecodeStats(**{**usual, **counts})  # type: ignore[arg-type]
    return DecodeResult(rows, ["eos"] * number, [0] * number, [1] * number, stats)


def _drafting(tokens: Sequence[Sequence[int]] = TOKENS, wall_seconds: float = 0.5) -> DecodeResult:
    """Two rounds of two rows that draft two tokens each: 8 drafted, 3 accepted, 7 committed in 4 row calls."""
    result = _plain(
        tokens, target_calls=2, row_calls=4, drafted=8, accepted=3, committed=7, wall_seconds=wall_seconds,
        draft_seconds=0.08, target_seconds=0.5, reached=(4, 4), passed=(2, 1),
    )  # fmt: skip
    return replace(result, method="prophet")


@dataclass
class ScriptedVoice:
    """Answers every call with the same result and remembers what was asked."""

    asked: list[tuple[int, DecodeOptions]] = field(default_factory=list)

    def text_to_semantic(self, texts: Sequence[str], options: DecodeOptions | None = None) -> DecodeResult:
        assert options is not None
        self.asked.append((len(texts), options))
        return _plain()


@pytest.fixture
def plain_result() -> MakeResult:
    return _plain


@pytest.fixture
def drafting_result() -> MakeResult:
    return _drafting


@pytest.fixture
def voice() -> ScriptedVoice:
    return ScriptedVoice()


@pytest.fixture
def conditions() -> Conditions:
    return Conditions(
        temperature=0.7, seed=5, device="cpu", dtype="float32", threads=1, kernel="torch", versions=VERSIONS
    )


@pytest.fixture
def runs() -> list[Run]:
    """Autoregressive decoding in 1 s; the prophet three times around 0.5 s."""
    times = (0.4, 0.9, 0.5)
    drafted = [Run(PROPHET, 2, _drafting(wall_seconds=seconds)) for seconds in times]
    return [Run(AUTOREGRESSIVE, 2, _plain()), *drafted]
