"""Which tokens may follow which: what a checkpoint's generation config says, as part of the model.

Knows ids. How a batch obeys them is in `decoding/obedience.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from spear_accel.checks import whole
from spear_accel.errors import UserError

__all__ = ["TokenRules"]

_LISTS = ("more_eos", "suppressed", "suppressed_first")


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """Rules about tokens by their place, from 0, in an utterance, and by what stands before them.

    A forced token goes before all but `suppressed` and `suppressed_first`, which must not hold it.
    """

    more_eos: tuple[int, ...] = ()
    """Ids that end an utterance as `eos_id` does."""
    first: int | None = None
    """The only token that may begin an utterance."""
    last: int | None = None
    """The only token that may stand at the last place that is allowed, which should be an EOS."""
    suppressed: tuple[int, ...] = ()
    """Never said."""
    suppressed_first: tuple[int, ...] = ()
    """Not said at the first place that is not forced."""
    bad_words: tuple[tuple[int, ...], ...] = ()
    """Sequences that never occur."""
    min_tokens: int = 0
    """No EOS before so many tokens."""
    max_tokens: int | None = None
    """Most tokens of an utterance, EOS included; in the place of bounds by the length of the text."""

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, tuple(whole(name, token, 0) for token in getattr(self, name)))
        words = tuple(tuple(whole("bad_words", token, 0) for token in word) for word in self.bad_words)
        object.__setattr__(self, "bad_words", words)
        for name in ("first", "last", "max_tokens"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), int(name == "max_tokens"))
        whole("min_tokens", self.min_tokens, 0)
        if not all(words):
            raise UserError("bad_words holds an empty sequence; remove it")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> TokenRules:
        """Raises UserError naming `source`: an unknown field, or a value of the wrong kind."""
        if unknown := sorted(set(values) - {one.name for one in fields(cls)}):
            raise UserError(f"{source}: unknown field(s) {', '.join(unknown)}; remove or correct them")
        try:
            return cls(**values)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        except TypeError as error:
            raise UserError(f"{source}: a list of ids is none ({error}); correct it") from error

    def check(self, vocab: int) -> None:
        """Raises UserError where an id is none of a model of `vocab` tokens, or a forced token is suppressed."""
        forced = [token for token in (self.first, self.last) if token is not None]
        named = [*forced, *self.more_eos, *self.suppressed, *self.suppressed_first, *sum(self.bad_words, ())]
        if wrong := [token for token in named if token >= vocab]:
            raise UserError(f"model config: rules name token {wrong[0]}; the model has 0 to {vocab - 1}")
        if never := [token for token in forced if token in self.suppressed]:
            raise UserError(f"model config: rules force token {never[0]} and suppress it; let one of the two go")
        if len(set(self.suppressed)) >= vocab:
            raise UserError("model config: rules suppress every token")

    @property
    def reach(self) -> int:
        """How many tokens back the rules look."""
        return max((len(word) - 1 for word in self.bad_words), default=0)

    def banned(self, said: Sequence[int], eos_ids: Sequence[int], minimum: int, maximum: int, vocab: int) -> set[int]:
        """The tokens that may not follow `said`: the rules one by one, for whoever checks a faster way.

        Args:
            said: All tokens of the utterance so far.
            eos_ids: Tokens that end it.
            minimum: No EOS before so many tokens.
            maximum: Most tokens of the utterance.
            vocab: V, tokens of the model.
        """
        place = len(said)
        never = set(self.suppressed)
        if place == int(self.first is not None):
            never |= set(self.suppressed_first)
        only = self.last if self.last is not None and place == maximum - 1 else None
        if only is None and place == 0:
            only = self.first
        if only is not None:
            return set(range(vocab)) - {only} | never
        banned = {
            word[-1]
            for word in self.bad_words
            if len(word) - 1 <= place and list(word[:-1]) == list(said[place - len(word) + 1 :])
        }
        return banned | never | (set(eos_ids) if place < minimum else set())
