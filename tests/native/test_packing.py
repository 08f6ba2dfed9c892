"""Weights are packed once for all who ask at once, and stay whole for whoever holds them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import torch
from torch import nn

from spear_accel.native.weights import Packing, ParameterWatch


class Packer:
    """Counts what it packs, and waits in the middle of it until it may go on."""

    def __init__(self, source: nn.Linear) -> None:
        self.source, self.made = source, 0
        self.begun, self.may_end = Event(), Event()

    def __call__(self) -> tuple[int, float]:
        self.made += 1
        self.begun.set()
        assert self.may_end.wait(60)
        return self.made, float(self.source.weight[0, 0].detach())


def test_who_asks_while_another_packs_gets_what_that_one_packs() -> None:
    source = nn.Linear(1, 1)
    packer = Packer(source)
    packing = Packing(packer, ParameterWatch(source))
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(packing.current) for _ in range(4)]
        assert packer.begun.wait(60)
        packer.may_end.set()
        found = [one.result(60) for one in asked]
    assert packer.made == 1
    assert all(one is found[0] for one in found)


def test_a_change_is_packed_by_the_first_look_and_by_no_other() -> None:
    source = nn.Linear(1, 1)
    packer = Packer(source)
    packer.may_end.set()
    packing = Packing(packer, ParameterWatch(source))
    before = packing.current()
    with torch.no_grad():
        source.weight.fill_(7.0)
    assert packing.current(look=False) is before
    assert packing.current() == (2, 7.0)
    assert packing.current() == (2, 7.0)
    assert before[0] == 1
