"""Acoustic folders: saved and loaded speaks identically; damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from spear_accel.acoustic import GriffinLimStage, MelDecoder, NeuralAcousticStage, load_stage, stage_names
from spear_accel.acoustic import registry as registry_module
from spear_accel.errors import UserError

TOKENS, LENGTHS = torch.arange(40)[None], torch.tensor([40])


def test_saved_and_loaded_speaks_identically(stage: NeuralAcousticStage, tmp_path: Path) -> None:
    stage.save(tmp_path)
    first = load_stage(tmp_path)
    assert isinstance(first, NeuralAcousticStage)
    first.save(tmp_path / "again")
    second = load_stage(tmp_path / "again")
    assert torch.equal(first(TOKENS, LENGTHS)[0], second(TOKENS, LENGTHS)[0])
    torch.testing.assert_close(first(TOKENS, LENGTHS)[0], stage(TOKENS, LENGTHS)[0], atol=5e-2, rtol=0)


def test_weights_are_stored_in_half_and_loaded_in_full(stage: NeuralAcousticStage, tmp_path: Path) -> None:
    stage.save(tmp_path)
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    loaded = NeuralAcousticStage.from_folder(tmp_path)
    assert {p.dtype for p in loaded.vocoder.parameters()} == {torch.float32}


def test_griffin_lim_needs_no_vocoder_weights(mel_decoder: MelDecoder, tmp_path: Path) -> None:
    GriffinLimStage(mel_decoder).save(tmp_path)
    assert not [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("vocoder")]
    waveform, samples = load_stage(tmp_path)(TOKENS, LENGTHS)
    assert samples.tolist() == [40 * 480] and waveform.isfinite().all() and waveform.abs().max() > 0
    with pytest.raises(UserError, match="holds no vocoder"):
        NeuralAcousticStage.from_folder(tmp_path)


def test_the_stage_of_a_folder_can_be_overruled(stage: NeuralAcousticStage, tmp_path: Path) -> None:
    stage.save(tmp_path)
    assert isinstance(load_stage(tmp_path, "griffin-lim"), GriffinLimStage)


def test_other_packages_offer_stages(
    stage: NeuralAcousticStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Offered:
        name = "theirs"

        def load(self) -> object:
            return lambda folder: stage

    monkeypatch.setattr(registry_module, "entry_points", lambda group: [Offered()] if group else [])
    assert stage_names() == ["griffin-lim", "neural", "theirs"]
    assert load_stage(tmp_path, "theirs") is stage


def edit(folder: Path, change: dict[str, object]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_damage_is_named(stage: NeuralAcousticStage, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json: no such file"):
        load_stage(tmp_path)
    stage.save(tmp_path)
    edit(tmp_path, {"stage": "unheard-of"})
    with pytest.raises(UserError, match="'unheard-of' is unknown; there are griffin-lim, neural"):
        load_stage(tmp_path)
    edit(tmp_path, {"stage": "neural", "vocoder": {"width": 25, "hidden": 32, "blocks": 3}})
    with pytest.raises(UserError, match=r"model\.safetensors does not fit.*vocoder\.inlet\.weight is \[24"):
        load_stage(tmp_path)
    edit(tmp_path, {"vocoder": {"widths": 25}})
    with pytest.raises(UserError, match=r"config\.json: section 'vocoder'.*widths"):
        load_stage(tmp_path)
    edit(tmp_path, {"format": 99})
    with pytest.raises(UserError, match="format is 99"):
        load_stage(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: not valid JSON"):
        load_stage(tmp_path)


def test_cut_short_weights_are_named(stage: NeuralAcousticStage, tmp_path: Path) -> None:
    stage.save(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"model\.safetensors: not a safetensors file, or cut short"):
        load_stage(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: cannot read"):
        load_stage(tmp_path)
