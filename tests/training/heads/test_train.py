"""Draft-head training: who gets gradients, acceptance as decoding shows it, and whole runs from a YAML file."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.noise import RowNoise, row_words, utterance_key
from spear_accel.errors import UserError
from spear_accel.heads import EarlyExit, Trunk, build_head, trunk_pass
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.heads import train as heads_training
from spear_accel.training.heads.config import HeadOptions
from spear_accel.training.heads.losses import STEPS_SHOWN, HeadLoss
from spear_accel.training.heads.on_policy import OnPolicySettings, on_policy_records
from spear_accel.training.heads.task import NAME, DraftHeadTask, HeadRecords
from spear_accel.training.heads.train import load_trained_heads, load_trained_trunk, load_trunk, train
from spear_accel.training.loop.losses import IGNORED
from spear_accel.training.text_to_semantic.train import load_trained
from spear_accel.training.text_to_semantic.train import train as train_text_to_semantic
from spear_accel.voice import components
from spear_accel.voice.folder import open_voice

Records = list[dict[str, Any]]

SHAPE: dict[str, Any] = {
    "text_vocab_size": 12, "semantic_units": 20, "dim": 32, "heads": 2, "kv_heads": 1, "head_dim": 16,
    "encoder_layers": 1, "decoder_layers": 3, "ff_inner": 48, "embedding_scale": 6.0, "text_eos_id": 2,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "exit-0": ("early-exit", {"exit_layer": 2, "blocks": 0}),
    "exit-1": ("early-exit", {"exit_layer": 1, "blocks": 1, "ff_inner": 24}),
    "exit-2": ("early-exit", {"exit_layer": 1, "blocks": 2, "ff_inner": 24, "memory_layer": 0}),
    "prophet": ("prophet", {"horizon": 3, "starts": 2, "layers": 2, "ff_inner": 24}),
    "linear": ("prophet-linear", {"horizon": 3}),
}
HEADS: dict[str, dict[str, Any]] = {
    "early-exit": {"exit_layer": 1, "ff_inner": 24},
    "prophet": {"horizon": 3, "ff_inner": 24},
    "prophet-linear": {"horizon": 2},
}
TEMPERATURE = 0.9


def make_model(**changes: Any) -> TextToSemantic:
    """Random weights so large that utterances have a shape, and end by themselves."""
    torch.manual_seed(1)
    model = TextToSemantic(TextToSemanticConfig(**{**SHAPE, **changes})).eval()
    with torch.no_grad():
        model.decoder.embedding.weight.mul_(8.0)
    return model


def make_texts(count: int, seed: int) -> list[list[int]]:
    generator = random.Random(seed)
    return [[generator.randint(3, 11) for _ in range(generator.randint(2, 6))] for _ in range(count)]


def pairs(count: int, seed: int) -> Records:
    """Each text id is spoken as two units of its own."""
    return [
        {"id": f"{seed}-{n}", "text_ids": text, "tokens": [unit for t in text for unit in (2 * t - 4, 2 * t - 3)]}
        for n, text in enumerate(make_texts(count, seed))
    ]


def write(path: Path, records: Records) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.fixture(scope="module")
def model() -> TextToSemantic:
    return make_model()


@pytest.fixture(scope="module")
def spoken(model: TextToSemantic, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """The model's own utterances, those that end within 40 tokens."""
    settings = OnPolicySettings("here", temperature=TEMPERATURE, seed=3, longest_tokens=40)
    records = on_policy_records(model, make_texts(60, 5), settings, tmp_path_factory.mktemp("own") / "own.jsonl", 60)
    return [record for record in records if record["stop_reason"] == "eos" and record["tokens"]]


def make_heads(model: TextToSemantic, chosen: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, nn.Module]:
    torch.manual_seed(2)
    heads = {name: build_head(kind, shape, model.config) for name, (kind, shape) in chosen.items()}
    for head in heads.values():
        head.init_from_embedding(model.decoder.embedding.weight.detach())  # type: ignore[operator]
    return heads


def make_task(
    model: TextToSemantic, heads: dict[str, nn.Module], records: Records, loss: HeadLoss | None = None, **changes: Any
) -> DraftHeadTask:
    loss = loss or HeadLoss(positions=1.0)
    data = HeadRecords(records, records, changes.pop("drawn_at", None))
    return DraftHeadTask(HeadOptions(**changes), model, heads, dict.fromkeys(heads, loss), data)


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
    task = make_task(model, heads, [{"id": "a", "text_ids": [3, 4], "tokens": [5] * 40}], HeadLoss(), positions=0.25)
    task._losses |= {"linear": HeadLoss(positions=0.1), "exit-2": HeadLoss(positions=0.5)}
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


def last_layer(model: TextToSemantic, noise: float = 0.0) -> EarlyExit:
    """A head that is the model's last layer, or nearly."""
    last = model.config.decoder_layers - 1
    head = build_head("early-exit", {"exit_layer": last, "ff_inner": model.config.ff_inner}, model.config).eval()
    assert isinstance(head, EarlyExit)
    layer = model.decoder.stack[last].state_dict()
    head.blocks[0].load_state_dict({key: layer[key] for key in head.blocks[0].state_dict()})
    head.norm.load_state_dict(model.decoder.final_norm.state_dict())
    head.init_from_embedding(model.decoder.embedding.weight)
    torch.manual_seed(6)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += noise * parameter.std() * torch.randn(parameter.shape)
    return head


def on_policy(model: TextToSemantic, heads: dict[str, nn.Module], records: Records) -> DraftHeadTask:
    return make_task(model, heads, records, drawn_at=TEMPERATURE, batch_tokens=100)


@torch.no_grad()
def test_the_last_layer_as_a_head_is_always_accepted(model: TextToSemantic, spoken: Records) -> None:
    task = on_policy(model, {"early-exit": last_layer(model)}, spoken)
    metrics = task.validate(task.modules)
    shown = range(1, STEPS_SHOWN + 1)
    assert [metrics[f"early-exit/acceptance_{j}"] for j in shown] == [1.0] * STEPS_SHOWN
    assert [metrics[f"early-exit/chain_{j}"] for j in shown] == [1.0] * STEPS_SHOWN
    assert metrics["early-exit/tokens_per_round"] == 1 + STEPS_SHOWN
    assert metrics["early-exit/top1"] == 1.0
    assert metrics["early-exit/loss"] == pytest.approx(0.0, abs=1e-5)


@torch.no_grad()
def hits_of(model: TextToSemantic, head: EarlyExit, record: dict[str, Any]) -> list[bool]:
    """Whether the head's draw for each token, EOS included, is the token that decoding said."""
    said = [*record["tokens"], model.config.eos_id]
    trunk = trunk_pass(model, torch.tensor([[*record["text_ids"], 2]]), torch.tensor([record["tokens"]]))
    logits = head.forward_teacher_forced(trunk, torch.arange(len(said)))[0, :, 0]
    words = torch.tensor([row_words(record["seed"], utterance_key(record["text_ids"]))])
    noise = RowNoise(words, torch.tensor([0]), torch.arange(model.config.vocab), greedy=False)
    gumbel = noise.gumbel(0, len(said))
    assert gumbel is not None
    return [int((logits[i] / TEMPERATURE + gumbel[0, i]).argmax()) == token for i, token in enumerate(said)]


def rounds(hits: list[bool], longest: int) -> tuple[list[int], list[int]]:
    """Drafts offered and accepted at each depth, decoding an utterance from what its draft hits."""
    offered, accepted, start = [0] * longest, [0] * longest, 0
    while start < len(hits):
        row = hits[start : start + longest]
        right = row.index(False) if False in row else len(row)
        ended = start + right == len(hits)
        for depth in range(right if ended else longest):
            offered[depth] += 1
            accepted[depth] += depth < right
        start += right + 1
    return offered, accepted


@torch.no_grad()
def test_acceptance_at_validation_is_that_of_decoding(model: TextToSemantic, spoken: Records) -> None:
    """Both follow from one table of hits: validation averages over all starts, decoding over those it comes to."""
    head = last_layer(model, 0.3)
    table = [hits_of(model, head, record) for record in spoken]
    whole = [
        [all(hits[start : start + depth]) for hits in table for start in range(len(hits) - depth + 1)]
        for depth in range(1, STEPS_SHOWN + 1)
    ]
    task = on_policy(model, {"early-exit": head}, spoken)
    metrics = task.validate(task.modules)
    chains = [sum(hits) / len(hits) for hits in whole]
    assert 0.2 < chains[3] < chains[0] < 0.95
    assert [metrics[f"early-exit/chain_{j}"] for j in range(1, 5)] == pytest.approx(chains)
    assert metrics["early-exit/acceptance_1"] == pytest.approx(chains[0])
    assert metrics["early-exit/tokens_per_round"] == pytest.approx(1 + sum(chains))

    options = DecodeOptions(method="early-exit", temperature=TEMPERATURE, draft_length=STEPS_SHOWN, max_tokens=40)
    drafter, controller = Drafting({"early-exit": head}).prepare(model, "early-exit", options)
    texts, seeds = [record["text_ids"] for record in spoken], [record["seed"] for record in spoken]
    result = Engine(model, options, drafter=drafter, controller=controller).decode(texts, seeds=seeds)
    assert [tokens.tolist() for tokens in result.tokens] == [record["tokens"] for record in spoken]
    counts = [rounds(hits, STEPS_SHOWN) for hits in table]
    assert result.stats.reached == tuple(map(sum, zip(*(offered for offered, _ in counts), strict=True)))
    assert result.stats.passed == tuple(map(sum, zip(*(accepted for _, accepted in counts), strict=True)))


def test_a_head_is_reported_at_no_depth_that_it_cannot_draft(model: TextToSemantic, spoken: Records) -> None:
    """A linear prophet of one stream drafts one token a round, so a round commits two at most."""
    task = on_policy(model, make_heads(model, {"linear": ("prophet-linear", {"horizon": 1})}), spoken)
    with torch.no_grad():
        metrics = task.validate(task.modules)
    assert "linear/acceptance_1" in metrics
    assert "linear/acceptance_2" not in metrics


@pytest.fixture(scope="module")
def model_folder(model: TextToSemantic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trunk") / "model"
    components.save_text_to_semantic(model, folder)
    return folder


@pytest.fixture
def place(model_folder: Path, tmp_path: Path) -> Path:
    """A folder with a model, texts to speak and pairs to learn."""
    shutil.copytree(model_folder, tmp_path / "model")
    write(tmp_path / "train.jsonl", pairs(40, 1))
    write(tmp_path / "validation.jsonl", pairs(16, 2))
    return tmp_path


def write_settings(place: Path, name: str, heads: Any = None, loop: dict[str, Any] | None = None, **data: Any) -> Path:
    given = {
        "trunk": str(place / "model"), "validation": str(place / "validation.jsonl"),
        "sources": [str(place / "train.jsonl")], "batch_tokens": 400, "longest_tokens": 40, "positions": 0.5,
        "distill_temperature": TEMPERATURE, **data,
    }  # fmt: skip
    if not given.get("trunk_weight") and "samples" not in data:
        samples = {"folder": str(place / "samples"), "count": 60, "temperature": TEMPERATURE, "longest_tokens": 40}
        given["samples"] = samples
    settings = {
        "output": str(place / name), "data": given, "heads": HEADS if heads is None else heads,
        "loop": {"steps": 10, "learning_rate": 0.005, "warmup_steps": 2, "validate_every": 100, "save_every": 100,
                 "precision": "no", **(loop or {})},
    }  # fmt: skip
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def caught(monkeypatch: pytest.MonkeyPatch, settings: Path) -> DraftHeadTask:
    """The task that these settings would train."""
    tasks: list[DraftHeadTask] = []
    with monkeypatch.context() as patch:
        patch.setattr(heads_training, "run", lambda task, *_: tasks.append(task) or {})
        train(settings)
    return tasks[0]


def test_heads_learn_from_what_a_frozen_model_says(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = write_settings(place, "heads", loop={"steps": 30, "average": 0.5})
    task = caught(monkeypatch, settings)
    with torch.no_grad():
        untrained = task.validate({NAME: task.modules[NAME].eval()})
    metrics = train(settings)
    for kind in HEADS:
        assert metrics[f"{kind}/loss"] < 0.8 * untrained[f"{kind}/loss"]
        assert metrics[f"{kind}/acceptance_1"] > untrained[f"{kind}/acceptance_1"] + 0.05
    assert metrics["trunk/loss"] == untrained["trunk/loss"]
    assert load_trained_trunk(place / "heads") is None
    heads = load_trained_heads(place / "heads")
    assert list(heads) == list(HEADS) and not any(head.training for head in heads.values())
    for kind, head in heads.items():
        task.modules[NAME].get_submodule(f"heads.{kind}").load_state_dict(head.state_dict())
    with torch.no_grad():
        assert task.validate(task.modules) == pytest.approx(metrics, rel=1e-4)


def test_held_out_texts_are_never_learned_from(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of the validation manifest that stand in the sources too; the sources' own tokens are not used."""
    write(place / "train.jsonl", pairs(16, 2)[:10] + pairs(40, 1))
    held_out = {tuple(text) for text in make_texts(16, 2)}
    task = caught(monkeypatch, write_settings(place, "heads"))
    learned = {tuple(example["source"].tolist()[:-1]) for example in task.dataset()}
    assert learned and not learned & held_out
    samples = [json.loads(line) for line in (place / "samples" / "training.jsonl").read_text().splitlines()]
    finished = [r["tokens"] for r in samples if r["stop_reason"] in ("eos", "max_length") and r["tokens"]]
    assert [example["tokens"].tolist() for example in task.dataset()] == finished
    judged = [json.loads(line) for line in (place / "samples" / "validation.jsonl").read_text().splitlines()]
    assert {tuple(record["text_ids"]) for record in judged} == held_out


def test_texts_to_speak_take_the_place_of_the_sources(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [{"text_ids": text} for text in make_texts(30, 7)]
    write(place / "texts.jsonl", texts)
    samples = {"folder": str(place / "own"), "texts": str(place / "texts.jsonl"), "count": 40, "longest_tokens": 40}
    caught(monkeypatch, write_settings(place, "heads", sources=[], samples={**samples, "temperature": TEMPERATURE}))
    spoken = [json.loads(line)["text_ids"] for line in (place / "own" / "training.jsonl").read_text().splitlines()]
    assert {tuple(text) for text in spoken} <= {tuple(record["text_ids"]) for record in texts}


def test_fresh_heads_start_from_the_trunk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout is the trunk's where the settings are silent."""
    embedding = load_trunk(str(place / "model")).decoder.embedding.weight
    for dropout, wanted in (({}, SHAPE.get("dropout", 0.1)), ({"dropout": 0.3}, 0.3)):
        heads = caught(monkeypatch, write_settings(place, "heads", targets="corpus", **dropout)).modules[NAME].heads
        assert torch.equal(heads["early-exit"].projection.weight, embedding[:21])
        assert torch.equal(heads["prophet"].embedding.weight, embedding)
        assert heads["early-exit"].blocks[0].dropout == heads["prophet"].layers[0].dropout == wanted


@torch.no_grad()
def cross_entropy(model: TextToSemantic, records: Records) -> float:
    """Nats per token, EOS counted, utterance by utterance."""
    total, number = 0.0, 0
    for record in records:
        logits = model(torch.tensor([[*record["text_ids"], 2]]), torch.tensor([record["tokens"]]))
        for scores, said in zip(logits[0], [*record["tokens"], model.config.eos_id], strict=True):
            total, number = total - scores.log_softmax(-1)[said].item(), number + 1
    return total / number


@pytest.mark.parametrize("detach", [False, True])
def test_heads_and_trunk_learn_together(place: Path, detach: bool) -> None:
    before = cross_entropy(load_trunk(str(place / "model")), pairs(16, 2))
    settings = write_settings(
        place, "joint", loop={"steps": 16, "learning_rate": 0.01}, trunk_weight=1.0, detach=detach, label_smoothing=0.0
    )
    metrics = train(settings)
    trunk = load_trained_trunk(place / "joint")
    assert trunk is not None and not trunk.training
    after = cross_entropy(trunk, pairs(16, 2))
    assert after < before - 0.3
    assert metrics["trunk/loss"] == pytest.approx(after, rel=1e-4)
    changes = {"distill_temperature": TEMPERATURE, "positions": 0.5, "trunk_weight": 1.0, "batch_tokens": 400}
    task = make_task(trunk, load_trained_heads(place / "joint"), pairs(16, 2), HeadLoss(), **changes)
    with torch.no_grad():
        assert task.validate(task.modules) == pytest.approx(metrics, rel=1e-4)


@pytest.mark.parametrize("joint", [False, True], ids=["frozen", "joint"])
def test_a_killed_run_resumes_exactly(place: Path, monkeypatch: pytest.MonkeyPatch, joint: bool) -> None:
    def settings(name: str) -> Path:
        return write_settings(place, name, loop={"save_every": 4, "average": 0.9}, trunk_weight=0.5 if joint else 0.0)

    train(settings("whole"))
    losses, taken = DraftHeadTask.losses, iter(range(7))

    def killed(self: DraftHeadTask, *arguments: Any) -> Any:
        if next(taken, None) is None:
            raise KeyboardInterrupt
        return losses(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DraftHeadTask, "losses", killed)
        train(settings("cut"))
    halfway = weights(place / "cut")
    train(settings("cut"))
    whole, cut = weights(place / "whole"), weights(place / "cut")
    assert list(whole) == list(cut)
    assert any(key.startswith("trunk") for key in whole) == joint
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    assert not all(torch.equal(whole[key], halfway[key]) for key in whole)


def weights(folder: Path) -> dict[str, Tensor]:
    modules: dict[str, nn.Module | None] = {**load_trained_heads(folder), "trunk": load_trained_trunk(folder)}
    return {
        f"{name}.{key}": value
        for name, module in modules.items()
        if module is not None
        for key, value in module.state_dict().items()
    }


def train_trunk(place: Path) -> Path:
    settings = {
        "output": str(place / "trained"), "model": SHAPE,
        "data": {"sources": [{"manifest": str(place / "train.jsonl")}], "validation": str(place / "validation.jsonl")},
        "loop": {"steps": 1, "learning_rate": 0.001, "precision": "no"},
    }  # fmt: skip
    (place / "trained.yaml").write_text(yaml.safe_dump(settings))
    train_text_to_semantic(place / "trained.yaml")
    return place / "trained"


def test_a_trunk_is_found_wherever_it_lies(place: Path, shared_voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice by folder or name, a model folder, a training folder."""
    voice, folder = load_trunk(str(shared_voice)), load_trunk(str(shared_voice / "text_to_semantic"))
    assert same(voice, folder)
    monkeypatch.setattr(heads_training, "list_shipped", lambda: ["tiny"])
    monkeypatch.setattr(heads_training, "open_voice", lambda name: open_voice(shared_voice.parent / name))
    assert same(load_trunk("tiny"), voice)
    trained = train_trunk(place)
    assert same(load_trunk(str(trained)), load_trained(trained))


def same(one: nn.Module, other: nn.Module) -> bool:
    wanted = other.state_dict()
    return all(torch.equal(value, wanted.pop(key)) for key, value in one.state_dict().items()) and not wanted


def test_a_folder_without_heads_is_refused(place: Path) -> None:
    trained = train_trunk(place)
    for load in (load_trained_heads, load_trained_trunk):
        with pytest.raises(UserError, match="holds no training checkpoint"):
            load(place / "nowhere")
        with pytest.raises(UserError, match="holds text_to_semantic, no draft heads"):
            load(trained)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"heads": {"oracle": {}}}, r"heads\.oracle: kind 'oracle' is unknown; choose one of recurrent, prophet"),
    "no heads": ({"heads": {}}, "run.yaml, heads: name at least one kind of head"),
    "a list of heads": ({"heads": ["prophet"]}, "run.yaml, heads: name at least one kind of head"),
    "shape": ({"heads": {"early-exit": {"exit_layer": 3}}}, "exit_layer 3: choose 1 to 2"),
    "no shape": ({"heads": {"early-exit": None}}, r"heads\.early-exit: .*exit_layer"),
    "loss": ({"heads": {"prophet": {"loss": {"reward": 1.0}}}}, r"prophet\.loss: unknown setting reward"),
    "weights": (
        {"heads": {"prophet": {"horizon": 3, "loss": {"position_weights": [1.0, 0.5]}}}},
        "2 position_weights for a horizon of 3",
    ),
    "share": (
        {"heads": {"prophet": {"loss": {"positions": 2.0}}}},
        r"prophet\.loss\.positions is 2\.0; it should",
    ),
    "samples": ({"samples": None}, "data: samples is missing"),
    "samples folder": ({"samples": {"count": 3}}, r"run\.yaml, data\.samples: setting folder is missing"),
    "detach": ({"detach": True}, "data: detach needs trunk_weight"),
    "positions": ({"positions": 0.0}, r"data\.positions is 0\.0"),
    "dropout": ({"dropout": 1.5}, r"data\.dropout is 1\.5; it should be less than 1"),
    "setting": ({"temperature": 0.5}, r"run\.yaml, data: unknown setting temperature"),
    "trunk": ({"trunk": "/nowhere"}, "/nowhere holds no training checkpoint"),
    "validation": ({"validation": "/no/v.jsonl"}, "/no/v.jsonl: no such file"),
    "sources": ({"sources": ["/no/t.jsonl"]}, "/no/t.jsonl: no such file"),
    "corpus validation": ({"trunk_weight": 1.0, "validation": "/no/v.jsonl"}, "/no/v.jsonl: no such file"),
    "unfinished": ({"longest_tokens": 1}, "no usable training utterance of 1 to 1 tokens"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_settings_are_refused(place: Path, fault: str) -> None:
    changes, message = FAULTS[fault]
    with pytest.raises(UserError, match=message):
        train(write_settings(place, "run", **changes))
    assert not (place / "run").exists()


@pytest.mark.parametrize(
    ("emptied", "trunk_weight", "message"),
    [
        ("train", 0.0, "no texts to speak"),
        ("validation", 0.0, "validation.jsonl is empty"),
        ("train", 1.0, "no usable training utterance"),
        ("validation", 1.0, "validation.jsonl is empty"),
    ],
)
def test_an_empty_manifest_is_refused(place: Path, emptied: str, trunk_weight: float, message: str) -> None:
    write(place / f"{emptied}.jsonl", [])
    with pytest.raises(UserError, match=message):
        train(write_settings(place, "run", trunk_weight=trunk_weight))


@pytest.mark.parametrize(("key", "values"), [("text_ids", [3, 12]), ("tokens", [21])])
def test_ids_outside_the_model_are_named(model: TextToSemantic, key: str, values: list[int]) -> None:
    record = {"id": "x1", "text_ids": [3], "tokens": [4], key: values}
    with pytest.raises(UserError, match=f"utterance x1: {key} hold ids outside 0 to"):
        make_task(model, make_heads(model, {"linear": KINDS["linear"]}), [record])


def test_an_end_among_the_tokens_is_named(model: TextToSemantic) -> None:
    record = {"id": "x1", "text_ids": [3], "tokens": [4, model.config.eos_id, 4]}
    with pytest.raises(UserError, match="utterance x1: tokens hold 20, which ends an utterance"):
        make_task(model, make_heads(model, {"linear": KINDS["linear"]}), [record])


def test_wrong_weights_are_refused_before_anything_is_spoken(place: Path) -> None:
    with pytest.raises(UserError, match="position_weights"):
        train(write_settings(place, "run", {"prophet": {"horizon": 3, "loss": {"position_weights": [1.0]}}}))
    assert not (place / "samples").exists()


def test_heads_of_another_shape_leave_a_finished_run_alone(place: Path) -> None:
    """The refusal names the fault; what was trained before still loads."""
    train(write_settings(place, "run", loop={"steps": 1}, targets="corpus"))
    with pytest.raises(UserError, match="does not fit the configured model"):
        train(write_settings(place, "run", {"prophet": {"horizon": 3, "ff_inner": 16}}, targets="corpus"))
    assert list(load_trained_heads(place / "run")) == list(HEADS)
