"""Drafting by looking up how the last tokens went on before: in the utterance itself, then in a table of a corpus.

Prompt lookup (Saxena 2023) and its table-driven kin. Free and without training; wins where speech holds a sound or a
pause. Works on the host: a row's tokens are few.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.spec import MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.errors import UserError
from spear_accel.model import DecoderState

__all__ = ["METHOD", "NgramDrafter", "NgramTable"]

LONGEST_MATCH = 4


class NgramTable:
    """The most frequent next token behind up to `LONGEST_MATCH` tokens, in a corpus."""

    def __init__(self, following: Mapping[tuple[int, ...], int], units: int) -> None:
        """following: next token by the tokens before it; units: size of the vocabulary that they are of.

        Raises UserError where a token is none of these units: the table belongs to another speech tokenizer.
        """
        strange = {token for key, value in following.items() for token in (*key, value) if not 0 <= token < units}
        if strange:
            raise UserError(
                f"n-gram table: token {min(strange)} is none of the voice's {units} units; build the table with the "
                "voice's own tokenizer"
            )
        self.following, self.units = dict(following), units

    @classmethod
    def build(cls, utterances: Iterable[Sequence[int]], units: int, least: int = 2) -> NgramTable:
        """From tokenized utterances; what was seen less than `least` times is left out."""
        counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for tokens in utterances:
            for end in range(1, len(tokens)):
                for length in range(1, min(LONGEST_MATCH, end) + 1):
                    counts[tuple(tokens[end - length : end])][tokens[end]] += 1
        best = {key: counter.most_common(1)[0] for key, counter in counts.items()}
        return cls({key: token for key, (token, count) in best.items() if count >= least}, units)


class NgramDrafter:
    """See `Drafter` for the methods. Chains only, of different lengths; it is certain of what it drafts."""

    topology: Topology = "chain"
    autoregressive = False

    def __init__(self, longest: int, table: NgramTable | None = None) -> None:
        self.longest = longest
        self._table = table.following if table is not None else {}
        self._rows: list[_Seen] = []

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self._rows = []

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self._rows += [_Seen() for _ in texts]

    def propose(self, context: DraftContext) -> Proposal:
        count = context.draft_length
        drafts = []
        for seen, tokens in zip(self._rows, context.committed, strict=True):
            seen.read(tokens)
            drafts.append(seen.draft(tokens, count, self._table))
        device = context.last_token.device
        filled = [draft + [0] * (count - len(draft)) for draft in drafts]
        tokens_of = torch.tensor(filled, dtype=torch.int64, device=device).view(len(drafts), count)
        return Proposal.chain(tokens_of, torch.tensor([len(draft) for draft in drafts], device=device))

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        """Nothing to learn: the next round sees all committed tokens."""

    def select(self, rows: Sequence[int]) -> None:
        self._rows = [self._rows[row] for row in rows]


class _Seen:
    """How an utterance went on behind each of its n-grams, the latest time."""

    def __init__(self) -> None:
        self._following: dict[tuple[int, ...], int] = {}
        self._count = 0

    def read(self, tokens: Sequence[int]) -> None:
        """Take in what was committed since the last time."""
        for end in range(max(1, self._count), len(tokens)):
            for length in range(1, min(LONGEST_MATCH, end) + 1):
                self._following[tuple(tokens[end - length : end])] = tokens[end]
        self._count = len(tokens)

    def draft(self, tokens: Sequence[int], count: int, table: Mapping[tuple[int, ...], int]) -> list[int]:
        """Up to `count` tokens, fewer where nothing is known."""
        recent = list(tokens[-LONGEST_MATCH:])
        draft: list[int] = []
        while len(draft) < count:
            following = self._next(recent, table)
            if following is None:
                break
            draft.append(following)
            recent = [*recent, following][-LONGEST_MATCH:]
        return draft

    def _next(self, recent: Sequence[int], table: Mapping[tuple[int, ...], int]) -> int | None:
        """The longest match decides; of equal length, the utterance goes before the table."""
        for length in range(len(recent), 0, -1):
            suffix = tuple(recent[-length:])
            for source in (self._following, table):
                if suffix in source:
                    return source[suffix]
        return None


METHOD = MethodSpec(
    "ngram", "how the last tokens went on before in the utterance", lambda inputs: NgramDrafter(inputs.longest),
    preference=80,
)  # fmt: skip
