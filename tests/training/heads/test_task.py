"""The task of head training: who gets gradients, what a batch holds, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spear_accel.decoding.noise import row_words, utterance_key
from spear_accel.errors import UserError
from spear_accel.heads import Trunk
from spear_accel.model import TextToSemantic
from spear_accel.training.heads.losses import HeadLoss
from spear_accel.training.heads.task import NAME, DraftHeadTask
from spear_accel.training.loop.losses import IGNORED
from tests.training.heads.helpers import (
    KINDS,
    Records,
    make_heads,
    make_model,
    make_task,
    pairs,
)


def gradients(task: DraftHeadTask) -> dict[str, Tensor | None]:
    """Of one batch with all examples, in training mode."""
    module = task.modules[NAME].train()
    batch = task.collate([task.dataset()[n] for n in range(len(task.dataset()))])
    [(name, loss, metrics)] = list(task.losses(task.modules, batch))
    assert name == NAME
    own = task.options.trunk_weight * metrics.pop("trunk/loss", 0.0)
    assert loss.item() == pytest.approx(own + sum(metrics.values()), rel=1e-5)
    loss.backward()
    return {key: parameter.grad for key, parameter in module.named_parameters()}


@pytest.mark.parametrize("name", KINDS)
def test_a_frozen_trunk_teaches_every_weight_of_a_head(name: str) -> None:
    model = make_model()
    found = gradients(make_task(model, make_heads(model, {name: KINDS[name]}), pairs(8, 1)))
    assert found and all(key.startswith(f"heads.{name}.") for key in found)
    for key, gradient in found.items():
        assert gradient is not None and gradient.abs().sum() > 0.0, key
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_trunk_that_learns_along_hears_the_heads() -> None:
    model = make_model(dropout=0.0)
    heads = make_heads(model, KINDS)
    own = own_gradients(model, pairs(8, 1), 0.5)
    found = gradients(make_task(model, heads, pairs(8, 1), trunk_weight=0.5))
    assert {key.split(".")[0] for key in found} == {"heads", "trunk"}
    for key, gradient in found.items():
        assert gradient is not None and gradient.abs().sum() > 0.0, key
    heard = [key for key, gradient in own.items() if not torch.allclose(found[f"trunk.{key}"], gradient, rtol=1e-3)]  # type: ignore[arg-type]
    assert set(own) - set(heard) == {"decoder.final_norm.gain"}, "which is above all that heads see"


def own_gradients(model: TextToSemantic, records: Records, weight: float) -> dict[str, Tensor]:
    """Of the model's smoothed cross-entropy alone, utterance by utterance."""
    alone = copy.deepcopy(model).train()
    costs = []
    for record in records:
        logits = alone(torch.tensor([[*record["text_ids"], 2]]), torch.tensor([record["tokens"]]))
        for scores, said in zip(logits[0], [*record["tokens"], model.config.eos_id], strict=True):
            law = scores.log_softmax(-1)
            costs.append(-0.9 * law[said] - 0.1 * law.mean())
    (weight * torch.stack(costs).mean()).backward()
    return {key: parameter.grad for key, parameter in alone.named_parameters() if parameter.grad is not None}


def test_a_detached_trunk_learns_as_if_alone() -> None:
    """And its heads learn as from a frozen one."""
    model = make_model(dropout=0.0)
    own = own_gradients(model, pairs(8, 1), 0.5)
    frozen = gradients(make_task(model, make_heads(model, KINDS), pairs(8, 1)))
    found = gradients(make_task(model, make_heads(model, KINDS), pairs(8, 1), trunk_weight=0.5, detach=True))
    assert set(found) == {f"trunk.{key}" for key in own} | set(frozen)
    for key, gradient in (frozen | {f"trunk.{key}": gradient for key, gradient in own.items()}).items():
        torch.testing.assert_close(found[key], gradient, atol=1e-6, rtol=1e-4, msg=key)


def test_a_batch_is_padded_and_ends_in_eos(model: TextToSemantic) -> None:
    task = make_task(model, make_heads(model, {"exit-1": KINDS["exit-1"]}), [
        {"id": "a", "text_ids": [3, 4], "tokens": [5, 6, 7], "seed": 8}, {"id": "b", "text_ids": [9], "tokens": [1]},
    ])  # fmt: skip
    batch = task.collate([task.dataset()[0], task.dataset()[1]])
    assert batch["source"].tolist() == [[3, 4, 2], [9, 2, -1]]
    assert batch["semantic"].tolist() == [[5, 6, 7], [1, -1, -1]]
    assert batch["targets"].tolist() == [[5, 6, 7, 20], [1, 20, IGNORED, IGNORED]]
    assert batch["words"].tolist() == [[*row_words(8, utterance_key([3, 4]))], [*row_words(0, utterance_key([9]))]]


def test_what_ran_into_a_loop_is_left_out_and_what_was_cut_off_has_no_end(model: TextToSemantic) -> None:
    records = [
        {"id": reason, "text_ids": [3], "tokens": [number + 1] * 3, "stop_reason": reason}
        for number, reason in enumerate(("eos", "loop", "max_length", "error"))
    ]
    records += [{"id": "empty", "text_ids": [3], "tokens": []}, {"id": "long", "text_ids": [3], "tokens": [9] * 4}]
    task = make_task(model, make_heads(model, {"exit-1": KINDS["exit-1"]}), records, longest_tokens=3)
    assert [example["tokens"].tolist() for example in task.dataset()] == [[1, 1, 1], [3, 3, 3]]
    batch = task.collate([task.dataset()[0], task.dataset()[1]])
    assert batch["targets"].tolist() == [[1, 1, 1, 20], [3, 3, 3, IGNORED]]


@torch.no_grad()
def test_a_batch_uses_its_share_of_the_positions(model: TextToSemantic) -> None:
    """Of 41 inputs a half is 20, a quarter 10, and a tenth is raised to 8. Heads that draft one token use all unless
    told otherwise, and are judged on all."""
    seen: dict[str, list[int]] = {}

    def noting(name: str, teach: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(trunk: Trunk, positions: Tensor) -> Tensor:
            seen[name] = positions.tolist()
            return teach(trunk, positions)

        return noted

    heads = make_heads(model, {name: KINDS[name] for name in ("exit-1", "exit-2", "prophet", "linear")})
    for name, head in heads.items():
        head.forward_teacher_forced = noting(name, head.forward_teacher_forced)  # type: ignore[assignment, arg-type]
    losses = {"linear": HeadLoss(positions=0.1), "exit-2": HeadLoss(positions=0.5)}
    records: Records = [{"id": "a", "text_ids": [3, 4], "tokens": [5] * 40}]
    task = make_task(model, heads, records, HeadLoss(), losses, positions=0.25)
    batch = task.collate([task.dataset()[0]])
    list(task.losses(task.modules, batch))
    assert seen["exit-1"] == list(range(41))
    for name, count in (("exit-2", 20), ("prophet", 10), ("linear", 8)):
        assert len(seen[name]) == len(set(seen[name])) == count
        assert seen[name] == sorted(seen[name])
    first = seen["prophet"]
    list(task.losses(task.modules, batch))
    assert seen["prophet"] != first, "other positions for every batch"
    task.validate(task.modules)
    every, fourth, tenth = (list(range(0, 41, step)) for step in (1, 4, 10))
    assert seen == {"exit-1": every, "exit-2": every, "prophet": fourth, "linear": tenth}


@pytest.mark.parametrize(("key", "values"), [("text_ids", [3, 12]), ("tokens", [21])])
def test_ids_outside_the_model_are_named(model: TextToSemantic, key: str, values: list[int]) -> None:
    record = {"id": "x1", "text_ids": [3], "tokens": [4], key: values}
    with pytest.raises(UserError, match=f"utterance x1: {key} hold ids outside 0 to"):
        make_task(model, make_heads(model, {"linear": KINDS["linear"]}), [record])


def test_an_end_among_the_tokens_is_named(model: TextToSemantic) -> None:
    record = {"id": "x1", "text_ids": [3], "tokens": [4, model.config.eos_id, 4]}
    with pytest.raises(UserError, match="utterance x1: tokens hold 20, which ends an utterance"):
        make_task(model, make_heads(model, {"linear": KINDS["linear"]}), [record])
