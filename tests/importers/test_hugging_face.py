"""Folders of transformers in all the ways in which they are kept, and the tokenizers beside them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from spear_accel import Voice, importers
from spear_accel.errors import UserError
from spear_accel.importers import ImportOptions, hugging_face
from spear_accel.importers.hugging_face_rules import read_generation
from spear_accel.model.rules import TokenRules
from spear_accel.text import TextTokenizer, TokenizerConfig
from spear_accel.text.hugging_face import JsonTokenizer, PieceTokenizer, load_pretrained
from tests.importers.hugging_face import EOS, VOCAB, build, save, word_tokenizer


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(build("bart"), tmp_path_factory.mktemp("bart"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bart"))


def state(folder: Path) -> dict[str, torch.Tensor]:
    return hugging_face.load_text_to_semantic(folder).state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def rewrite(folder: Path, change: Any) -> None:
    """Change the tensors of a folder."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


def test_parts_pickles_and_other_names_are_the_same_model(folder: Path, tmp_path: Path) -> None:
    wanted, tensors = state(folder), load_file(folder / "model.safetensors")
    parts = save(build("bart"), tmp_path / "parts", max_shard_size="20KB")
    assert len(list(parts.glob("*.safetensors"))) > 2 and same(state(parts), wanted)
    (folder / "model.safetensors").unlink()
    pickles = (
        ({"pytorch_model.bin": tensors}, None),
        ({"pytorch_model.bin": {name.removeprefix("model."): value for name, value in tensors.items()}}, None),
        ({f"p{n}.bin": dict([one]) for n, one in enumerate(tensors.items())}, "pytorch_model.bin.index.json"),
    )
    for pickled, index in pickles:
        for name, part in pickled.items():
            torch.save(part, folder / name)
        if index is not None:
            (folder / "pytorch_model.bin").unlink()
            places = {name: file for file, part in pickled.items() for name in part}
            (folder / index).write_text(json.dumps({"weight_map": places}))
        assert same(state(folder), wanted)


def test_half_precision_is_read_as_float32(folder: Path) -> None:
    wanted = state(folder)
    rewrite(folder, lambda tensors: {name: value.half() for name, value in tensors.items()})
    for name, value in state(folder).items():
        assert value.dtype == torch.float32 and torch.allclose(value, wanted[name], atol=5e-3), name


class Payload:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def test_a_pickle_that_could_run_code_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"model.shared.weight": Payload()}, file)
    with pytest.raises(UserError, match=r"pytorch_model\.bin: (refused|not a checkpoint)"):
        state(folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("places", [{"a": "../x.bin"}, {"a": "/etc/passwd"}, {"a": 3}, {}, {"a": "gone.safetensors"}])
def test_an_index_leads_nowhere_else(folder: Path, places: dict[str, object]) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    with pytest.raises(UserError, match=r"no file beside it|lacks a weight_map|gone\.safetensors: missing"):
        state(folder)


def test_tensors_that_do_not_fit_are_all_named(folder: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        del tensors["model.decoder.layers.1.fc1.bias"], tensors["model.encoder.layers.0.fc1.weight"]
        return {**tensors, "extra": torch.zeros(1), "model.encoder.layers.1.fc2.bias": torch.zeros(3)}

    rewrite(folder, change)
    with pytest.raises(UserError, match=r"2 missing: .*1 unexpected: extra; 1 misshapen: encoder\.layers\.1\.fc2"):
        state(folder)


def test_numbers_that_are_not_finite_are_refused(folder: Path) -> None:
    rewrite(
        folder, lambda tensors: {n: v.fill_(torch.nan) if n.endswith("0.fc1.bias") else v for n, v in tensors.items()}
    )
    with pytest.raises(UserError, match=r"layers\.0\.fc1\.bias holds numbers that are not finite"):
        state(folder)


@pytest.mark.parametrize("part", [0, 9, 200])
def test_a_file_that_is_cut_short_is_refused(folder: Path, part: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(UserError, match=r"model\.safetensors: not a safetensors file, or cut short"):
        state(folder)


def test_what_a_generation_config_says() -> None:
    said = {
        "eos_token_id": [3, 4], "decoder_start_token_id": 2, "min_length": 5, "max_length": 20,
        "forced_bos_token_id": 7, "forced_eos_token_id": 3, "bad_words_ids": [[3], [5, 6]], "suppress_tokens": [8],
        "begin_suppress_tokens": [9], "do_sample": True, "top_p": 0.9, "num_beams": 4, "no_repeat_ngram_size": 3,
    }  # fmt: skip
    found = read_generation(said, {}, "f")
    assert found.rules == TokenRules(
        more_eos=(4,), first=7, last=3, suppressed=(8,), suppressed_first=(9,), bad_words=((5, 6),), min_tokens=4,
        max_tokens=19,
    )  # fmt: skip
    assert found.options == {"temperature": 1.0, "top_k": 50, "top_p": 0.9}
    assert found.left_out == ("num_beams", "no_repeat_ngram_size")
    plain = read_generation({}, {"eos_token_id": 1, "bos_token_id": 0}, "f")
    assert (plain.start, plain.eos, plain.rules, plain.options) == (0, 1, None, {"temperature": 0.0})
    for wrong, reason in (
        ({"eos_token_id": 1}, "lacks decoder_start_token_id"),
        ({"decoder_start_token_id": 1}, "lacks eos_token_id"),
        ({"decoder_start_token_id": 1, "eos_token_id": 2, "bad_words_ids": 3}, "wrong kind"),
        ({"decoder_start_token_id": 1, "eos_token_id": 2, "max_length": "many"}, "wrong kind"),
        ({"decoder_start_token_id": 1, "eos_token_id": 2, "suppress_tokens": [-1]}, "suppressed must be"),
    ):
        with pytest.raises(UserError, match=f"f: .*{reason}"):
            read_generation(wrong, {}, "f")


def test_a_voice_keeps_how_its_model_draws(folder: Path, tmp_path: Path) -> None:
    said = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**said, "do_sample": True, "top_k": 7, "num_beams": 2}))
    imported = importers.load(folder, "hugging-face", ImportOptions(text_tokenizer="ids"))
    assert imported.notes == ("num_beams: decoding here does not do it, and leaves it out",)
    importers.save_voice(imported, tmp_path / "v")
    assert (voice := Voice.load(tmp_path / "v")).defaults.top_k == 7 and voice.defaults.temperature == 1.0
    assert same(voice.model.state_dict(), imported.model.state_dict())
    assert voice.model.text_embedding.weight is voice.model.decoder.embedding.weight


def test_a_tokenizer_of_json(tmp_path: Path) -> None:
    tokenizer = JsonTokenizer(word_tokenizer())
    assert tokenizer.encode("w5 w9 other") == [5, 9, 2, EOS] and tokenizer.encode("") == []
    assert tokenizer.spans("w5 w9") == [(0, 2), (3, 5), (0, 0)]
    assert tokenizer.written([5, 9, EOS]) == "w5 w9" and tokenizer.vocab_size == VOCAB
    tokenizer.save(tmp_path / "t")
    for copy in (load_pretrained(tmp_path / "t"), pickle.loads(pickle.dumps(tokenizer))):
        assert copy.encode("w5 w9") == [5, 9, EOS]
    with pytest.raises(UserError, match="no tokenizer of Hugging Face"):
        JsonTokenizer("{}")


@pytest.fixture(scope="module")
def pieces() -> bytes:
    lines = ["a bad cab", "a small boat lay on the beach", "nobody came for it"]
    return TextTokenizer.train(lines, TokenizerConfig(vocab_size=40, kind="char")).model_bytes


def test_pieces_with_a_table_as_marian_has_them(folder: Path, tmp_path: Path, pieces: bytes) -> None:
    from transformers import MarianTokenizer

    own = PieceTokenizer(pieces)
    names = [own._source.id_to_piece(id) for id in range(own.vocab_size)]
    kept = [name for name in names if name not in ("<pad>", "<unk>", "b")]
    table = {name: id for id, name in enumerate(["</s>", "<unk>", *kept, ">>fr<<", "<pad>"])}
    for name in ("source.spm", "target.spm"):
        (tmp_path / name).write_bytes(pieces)
    (tmp_path / "vocab.json").write_text(json.dumps(table))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "marian", "eos_token_id": 0}))
    theirs = MarianTokenizer.from_pretrained(tmp_path)
    from spear_accel.importers.hugging_face_tokenizer import _beside

    ours = _beside(tmp_path, {"model_type": "marian", "eos_token_id": 0})
    assert isinstance(ours, PieceTokenizer)
    for text in ("a bad cab", ">>fr<<it came", "x"):
        ids = ours.encode(text)
        assert ids == theirs(text)["input_ids"]
        assert ours.written(ids) == theirs.decode(ids, skip_special_tokens=True)
        assert len(ours.spans(text)) == len(ids)
    assert ours.spans("on it")[-3:] == [(3, 4), (4, 5), (5, 5)]
    ours.save(tmp_path / "kept")
    for copy in (load_pretrained(tmp_path / "kept"), pickle.loads(pickle.dumps(ours))):
        assert copy.encode("a bad cab") == ours.encode("a bad cab")
    (tmp_path / "kept" / "pieces.json").write_text("{}")
    with pytest.raises(UserError, match="no table of pieces"):
        load_pretrained(tmp_path / "kept")


def test_pieces_as_t5_has_them(tmp_path: Path, pieces: bytes) -> None:
    folder = save(build("t5"), tmp_path / "t5")
    (folder / "spiece.model").write_bytes(pieces)
    imported = hugging_face.load(folder)
    assert imported.tokenizer.encode("a cab")[-1] == EOS
    assert imported.tokenizer.encode("a cab")[:-1] == PieceTokenizer(pieces).encode("a cab")
    importers.save_voice(imported, tmp_path / "v")
    assert Voice.load(tmp_path / "v").tokenizer.encode("a cab") == imported.tokenizer.encode("a cab")
    (folder / "spiece.model").write_text("nothing")
    with pytest.raises(UserError, match=r"spiece\.model: the text tokenizer is not a SentencePiece model"):
        hugging_face.load(folder)


def test_a_tokenizer_of_too_many_ids_is_refused(folder: Path) -> None:
    big = json.loads(word_tokenizer())
    big["model"]["vocab"]["more"] = VOCAB
    (folder / "tokenizer.json").write_text(json.dumps(big))
    with pytest.raises(UserError, match=f"makes {VOCAB + 1} ids, the model reads {VOCAB}"):
        hugging_face.load(folder)
