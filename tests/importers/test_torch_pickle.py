"""Files of strangers: nothing in them runs, and what is wrong with them is said in one line."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.importers import spear_tts_pytorch, whisperspeech
from spear_accel.importers.torch_pickle import check_keys, read_pickle, tensors_of

LOADERS = (spear_tts_pytorch.load, whisperspeech.load)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.path)!r}, 'w')",)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("plain", [False, True])
def test_a_payload_is_refused_and_does_not_run(tmp_path: Path, load: object, plain: bool) -> None:
    trap, path = tmp_path / "sprung", tmp_path / "model.pt"
    if plain:
        path.write_bytes(pickle.dumps({"model": Payload(trap)}))
    else:
        torch.save({"model": Payload(trap), "config": {}, "state_dict": {}}, path)
    with pytest.raises(UserError, match=r"model\.pt: (refused|cut short|not a checkpoint)"):
        load(path)  # type: ignore[operator]
    assert not trap.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(checkpoint: Path, share: float) -> None:
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"model\.pt: (cut short|not a checkpoint)"):
        spear_tts_pytorch.load(checkpoint)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        read_pickle(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_pickle(tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("naïve text\nmore".encode(), "a text file that begins 'naïve text'"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"),
        (safetensors.torch.save({"a": torch.zeros(3)}), "a safetensors file"),
        (b"", "an empty file"),
        (gzip.compress(b"x" * 99, mtime=0), "a gzip archive"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_kind(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.pt: not a checkpoint of torch\.save, but {kind}"):
        read_pickle(tmp_path / "a.pt")


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_get_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"noise\.pt: "):
        tensors_of(read_pickle(path), path)


@pytest.mark.parametrize("found", [3, [], {}, {"a": 1}, {1: torch.zeros(1)}])
def test_what_is_no_state_dict_is_refused(found: object) -> None:
    with pytest.raises(UserError, match=r"m\.pt: "):
        tensors_of(found, "m.pt")


def test_all_differing_keys_are_named_in_groups() -> None:
    table = {"layers.0.a": torch.zeros(2), "layers.1.a": torch.zeros(2), "x": torch.zeros(1), "y": torch.zeros(3)}
    wanted = {"layers.0.b": (1,), "layers.1.b": (1,), "layers.2.b": (1,), "y": (4,)}
    with pytest.raises(UserError) as caught:
        check_keys(table, wanted, "m.pt", "such")
    line = str(caught.value)
    assert "3 missing: layers.{0,1,2}.b" in line
    assert "3 unexpected: layers.{0,1}.a, x" in line
    assert "1 misshapen: y is [3], not [4]" in line


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="not finite in y"):
        check_keys({"y": torch.tensor([torch.nan])}, {"y": (1,)}, "m.pt", "such")
