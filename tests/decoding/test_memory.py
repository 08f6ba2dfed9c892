"""Memory of the decoder state: what the formula says, and no more of it for more utterances."""

from __future__ import annotations

import gc
import random

import torch

from spear_accel.decoding import DecodeOptions, Engine, LengthBounds, StoppingCriteria
from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.proposal import Proposal
from spear_accel.heads import build_head
from spear_accel.model import TextToSemantic

GUARDS = StoppingCriteria(length=LengthBounds(tokens_per_unit=2.0, shortest=0.5, longest=1.5, slack=5))


class Weighed:
    """Passes a drafter on and notes the live rows, the bytes of the state and of all tensors at every round."""

    def __init__(self, inner: object, every: int = 1) -> None:
        self.inner, self.longest, self.every = inner, inner.longest, every  # type: ignore[attr-defined]
        self.rows: list[int] = []
        self.bytes: list[int] = []
        self.all_bytes: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def propose(self, context: DraftContext) -> Proposal:
        self.rows.append(context.state.rows)
        self.bytes.append(context.state.bytes)
        if len(self.rows) % self.every == 0:
            self.all_bytes.append(tensor_bytes())
        return self.inner.propose(context)  # type: ignore[attr-defined, no-any-return]


def tensor_bytes() -> int:
    """Bytes of every tensor's storage that Python can reach, each storage once."""
    storages = {
        item.untyped_storage().data_ptr(): item.untyped_storage().nbytes()
        for item in gc.get_objects() if issubclass(type(item), torch.Tensor) and item.layout is torch.strided
    }  # fmt: skip
    return sum(storages.values())


def test_bytes_are_those_of_the_formula(model: TextToSemantic) -> None:
    config = model.config
    state = model.new_state(5, 120, 17)
    assert state.bytes == 0, "rows are made when they are first live"
    state.admit(*model.decoder.project(torch.zeros(5, 17, config.dim)), [18] * 5)
    self_slots, text_slots = 120, 17 + 1
    per_slot = 2 * config.decoder_layers * 5 * config.kv_heads * config.head_dim * 4
    assert state.bytes == per_slot * (self_slots + text_slots)


@torch.no_grad()
def test_a_large_cache_starts_small_and_ends_at_the_formula(model: TextToSemantic) -> None:
    config = model.config
    state = model.start(torch.tensor([[3, 4, 2]]), 1000)
    small = state.bytes
    model.decoder.forward(torch.zeros(1, 1000, dtype=torch.int64), state)
    per_slot = 2 * config.decoder_layers * config.kv_heads * config.head_dim * 4
    assert state.bytes == per_slot * (1000 + 3 + 1) > 3 * small


def test_five_hundred_utterances_pass_through_the_slots_without_growth(model: TextToSemantic) -> None:
    generator = random.Random(1)
    texts = [[generator.randint(3, 29) for _ in range(generator.randint(1, 16))] for _ in range(500)]
    torch.manual_seed(3)
    head = build_head("prophet", {}, model.config)
    options = DecodeOptions(method="prophet", draft_length=3, batch_size=32)
    drafter, controller = Drafting({"prophet": head}).prepare(model, "prophet", options)
    weighed = Weighed(drafter, every=20)
    result = Engine(model, options, GUARDS, weighed, controller=controller).decode(texts)  # type: ignore[arg-type]
    assert len(result.tokens) == 500
    assert max(weighed.rows) == 32
    # Full until nobody waits any more.
    assert weighed.rows[: len(weighed.rows) // 2] == [32] * (len(weighed.rows) // 2)
    assert len(set(weighed.bytes)) == 1
    early, late = weighed.all_bytes[len(weighed.all_bytes) // 4], weighed.all_bytes[-1]
    assert late <= 1.1 * early
