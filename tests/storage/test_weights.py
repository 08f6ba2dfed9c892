"""Modules survive a trip to disk; what does not fit is named in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from spear_accel.errors import UserError
from spear_accel.storage.weights import fill, load_module, read_config, save_module, tensors_of, write_tensors


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.output = nn.Linear(4, 7, bias=False)
        self.output.weight = self.embedding.weight
        self.register_buffer("count", torch.tensor(3))


def test_half_precision_on_disk_and_float32_in_memory(tmp_path: Path) -> None:
    module = Tied()
    save_module(module, {"size": 7}, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    again = Tied()
    load_module(again, tmp_path)
    assert stored["embedding.weight"].dtype == torch.float16
    assert again.embedding.weight.dtype == torch.float32
    torch.testing.assert_close(again.embedding.weight, module.embedding.weight.half().float(), rtol=0, atol=0)
    assert int(again.get_buffer("count")) == 3
    assert read_config(tmp_path) == {"size": 7}


def test_a_second_trip_changes_nothing(tmp_path: Path) -> None:
    module = Tied()
    save_module(module, {}, tmp_path / "a")
    load_module(module, tmp_path / "a")
    save_module(module, {}, tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_a_tied_weight_is_stored_once_and_stays_tied(tmp_path: Path) -> None:
    save_module(Tied(), {}, tmp_path)
    assert sorted(load_file(tmp_path / "model.safetensors")) == ["count", "embedding.weight"]
    again = Tied()
    load_module(again, tmp_path)
    assert again.output.weight is again.embedding.weight


def test_values_beyond_half_precision_stay_float32(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight[0, 0] = 1e6
    save_module(module, {}, tmp_path)
    again = nn.Linear(2, 2)
    load_module(again, tmp_path)
    assert float(again.weight[0, 0].detach()) == 1e6


def test_every_misfit_is_named_at_once(tmp_path: Path) -> None:
    save_module(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), {}, tmp_path)
    with pytest.raises(UserError) as caught:
        load_module(nn.Sequential(nn.Linear(2, 4), nn.Identity(), nn.Linear(3, 1)), tmp_path)
    for part in (
        "model.safetensors",
        "0.weight is [3, 2], not [4, 2]",
        "2 unexpected: 1.bias, 1.weight",
        "2 missing: 2.weight, 2.bias",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    save_module(nn.Linear(2, 2), {}, tmp_path)
    path = tmp_path / "model.safetensors"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:40] if damage == "cut" else json.dumps({}).encode())
    with pytest.raises(UserError, match=r"model\.safetensors: .*restore the file"):
        load_module(nn.Linear(2, 2), tmp_path)


@pytest.mark.parametrize("names", [["embedding.weight"], ["output.weight"], ["embedding.weight", "output.weight"]])
def test_a_tied_weight_may_be_given_under_either_name(names: list[str]) -> None:
    module, value = Tied(), torch.randn(7, 4)
    fill(module, {"count": torch.tensor(5)} | dict.fromkeys(names, value), "here")
    assert torch.equal(module.embedding.weight, value) and module.output.weight is module.embedding.weight


def test_layers_that_lack_the_same_are_named_once() -> None:
    layers = nn.ModuleDict({"layers": nn.ModuleList(nn.Linear(2, 2) for _ in range(3))})
    given = {name: value for name, value in tensors_of(layers).items() if not name.endswith("bias")}
    with pytest.raises(UserError, match=r"m\.safetensors: 3 missing: layers\.\{0,1,2\}\.bias$"):
        fill(layers, given, "m.safetensors")


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"full: cannot write \(No space left"):
        write_tensors(tmp_path / "full", {"a": torch.zeros(9)}, half=False)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
