"""What a voice knows about its own speed: measured costs of each method, kept in decoding.json.

Knows numbers and names; measuring is the benchmark's work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.errors import UserError
from spear_accel.model import SkipSet

__all__ = ["Tuning"]

_WORTHWHILE = 1.03
"""Promise below which autoregressive decoding is taken: smaller gains drown in noise."""


@dataclass(frozen=True)
class Tuning:
    """Costs by method."""

    methods: Mapping[str, DraftCosts] = field(default_factory=dict)
    skip: SkipSet | None = None
    """What method "layer-skip" leaves out; the method cannot run without."""

    def best_method(self, live: int, available: Sequence[str]) -> str:
        """The method of `available` that promises most with `live` rows; without measurements the first."""
        measured = [name for name in available if name in self.methods]
        if not measured:
            return available[0]
        promise, name = max((self.methods[name].speedup(live)[0], name) for name in measured)
        return name if promise > _WORTHWHILE else "autoregressive"

    def to_dict(self) -> dict[str, Any]:
        methods = {
            name: {
                "acceptance": [list(chances) for chances in costs.acceptance],
                "rounds": {str(rows): list(times) for rows, times in sorted(costs.rounds.items())},
                "node": {str(rows): time for rows, time in sorted(costs.node.items())},
                "anywhere": costs.anywhere,
            }
            for name, costs in self.methods.items()
        }
        skip = None if self.skip is None else asdict(self.skip)
        return {"methods": methods, "skip": skip}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> Tuning:
        """Raises UserError naming `source` where the numbers are not as `to_dict` writes them."""
        try:
            skip = values.get("skip")
            methods = {name: _costs(item) for name, item in values.get("methods", {}).items()}
            return cls(methods, None if skip is None else SkipSet(**skip))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{source}: the tuning is damaged ({error}); measure it again") from error


def _costs(item: Mapping[str, Any]) -> DraftCosts:
    acceptance = tuple(tuple(float(chance) for chance in chances) for chances in item["acceptance"])
    rounds = {int(rows): tuple(float(time) for time in times) for rows, times in item["rounds"].items()}
    node = {int(rows): float(time) for rows, time in item["node"].items()}
    sound = acceptance and rounds and all(chances and min(chances) >= 0.0 for chances in acceptance)
    if not sound or any(sum(chances) > 1.0 + 1e-6 for chances in acceptance):
        raise ValueError("the acceptance of a depth must lie in 0 to 1")
    if any(len(times) < 2 or min(times) <= 0.0 or rows < 1 for rows, times in rounds.items()):
        raise ValueError("round times must lie above 0")
    if any(time < 0.0 or rows < 1 for rows, time in node.items()):
        raise ValueError("the time of a node must be 0 or more")
    return DraftCosts(acceptance, rounds, node, bool(item["anywhere"]))
