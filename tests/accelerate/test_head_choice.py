"""A head that was trained takes the place of the voice's own only if it drafts better."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from spear_accel import Voice
from spear_accel.accelerate.head_choice import HeadChoice, choose_head
from spear_accel.heads import build_head, head_config


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice.load("kathleen")


@pytest.mark.parametrize("swapped", [False, True])
def test_the_better_of_two_heads_is_found(voice: Voice, swapped: bool) -> None:
    torch.manual_seed(0)
    own = voice.drafting.heads["recurrent"]
    shape = {name: value for name, value in head_config(own).items() if name != "kind"}
    heads = [own, build_head("recurrent", shape, voice.model.config).eval()]
    texts = [voice.tokenizer.encode("the little dog ran"), voice.tokenizer.encode("it is a fine day")]
    options = replace(voice.defaults, batch_size=1, max_tokens=60)
    before, after = reversed(heads) if swapped else heads
    found = choose_head(voice.model, "recurrent", before, after, texts, options)
    assert found.takes_new == swapped
    assert min(found.before, found.after) >= 1.0
    assert max(found.before, found.after) > 1.5


def test_of_equal_heads_the_voices_own_stays() -> None:
    assert not HeadChoice(2.0, 2.0).takes_new
    assert str(HeadChoice(2.0, 1.5)) == "2.00 tokens a target call before, 1.50 after; the voice's own stays"
