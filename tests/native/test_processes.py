"""Several Python threads at once, and a child after a fork: each gets the tokens of one alone."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor

from spear_accel.model import DecoderState, TextToSemantic
from tests.native.decoding import alone, logits_of, native_model, texts, tokens


@torch.no_grad()
def decoded(model: TextToSemantic) -> Tensor:
    return stepped(model, model.start(texts(model.config, 3), 20))


@torch.no_grad()
def stepped(model: TextToSemantic, state: DecoderState) -> Tensor:
    said, found = tokens(model.config, 3, 12), []
    for first in range(0, 12, 4):
        found.append(logits_of(model, said[:, first : first + 4], state))
        state.keep([4] * 3)
    return torch.cat(found, dim=1)


def test_threads_with_one_model_and_with_models_of_their_own(kernel: str, threads: int) -> None:
    models = [native_model(kernel) for _ in range(2)]
    wanted = alone(models[0], texts(models[0].config, 3), tokens(models[0].config, 3, 12))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(decoded, [models[n % 2] for n in range(12)]):
            assert torch.equal(found, wanted)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_are_the_first_to_use_a_model(kernel: str, restless: None) -> None:
    """None reads weights that another one is packing or has replaced."""
    wanted, together = decoded(native_model(kernel)), Barrier(4)

    def decoded_together(model: TextToSemantic) -> Tensor:
        together.wait(60)
        return decoded(model)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            for found in pool.map(decoded_together, [native_model(kernel)] * 4):
                assert torch.equal(found, wanted)


def test_a_forked_child_has_threads_of_its_own(kernel: str, threads: int) -> None:
    """The text is encoded before the fork, because OpenMP under PyTorch does not outlive one."""
    model = native_model(kernel)
    wanted, state = decoded(model), model.start(texts(model.config, 3), 20)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(stepped(model, state).numpy().tobytes()))
    child.start()
    assert receiver.poll(60), "the child hangs"
    assert receiver.recv() == wanted.numpy().tobytes()
    child.join()
    assert torch.equal(decoded(model), wanted)
