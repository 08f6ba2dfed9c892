"""Acoustic training on a tiny made-up corpus: gradients everywhere, resume, the aligned pass, bad settings."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import nn

from spear_accel.acoustic import LogMel, LogMelConfig, MelDecoderConfig, NeuralAcousticStage, VocoderConfig
from spear_accel.errors import UserError
from spear_accel.storage.weights import write_tensors
from spear_accel.training.acoustic.mel_decoder import MelDecoderTask, MelDecoderTraining, load_utterances, read_tokens
from spear_accel.training.acoustic.recordings import RecordingsConfig, level, load_recordings, split_recordings
from spear_accel.training.acoustic.spectral_losses import MultiResolutionDistance
from spear_accel.training.acoustic.train import load_mel_decoder, load_vocoder, train
from spear_accel.training.acoustic.vocoder import AdversarialConfig, VocoderTask, VocoderTraining
from spear_accel.training.loop.settings import build

UNITS = 12
CLIPS = {"a1": 0.9, "a2": 0.7, "b1": 0.8, "c1": 0.5}
VOCODER = {"width": 16, "hidden": 24, "blocks": 2}
DECODER: dict[str, Any] = {
    "units": UNITS, "frame_rate": 50, "width": 16, "hidden": 24, "token_blocks": 1, "frame_blocks": 1,
    "pitch_width": 8, "pitch_blocks": 1,
}  # fmt: skip
ADVERSARIAL = {"weight": 1.0, "rows": 2, "channels": 4, "resolutions": [512], "periods": [3]}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four clips of a buzzing tone in noise at 22,050 Hz, their tokens, and a split."""
    torch.manual_seed(0)
    folder = tmp_path / "corpus"
    (folder / "wavs").mkdir(parents=True)
    records = []
    for number, (name, seconds) in enumerate(CLIPS.items()):
        time = torch.arange(round(seconds * 22050)) / 22050
        tone = sum(torch.sin(2 * math.pi * (150 + 20 * number) * k * time) / k for k in range(1, 6))
        soundfile.write(folder / "wavs" / f"{name}.wav", (0.05 * tone + 0.001 * torch.randn(len(time))).numpy(), 22050)
        records.append({"id": name, "tokens": torch.randint(0, UNITS, (round(seconds * 50),)).tolist()})
    (folder / "metadata.csv").write_text("".join(f"{name}|Text.|Text.\n" for name in CLIPS))
    (tmp_path / "tokens.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "split.json").write_text(json.dumps({"test": ["c"], "validation": ["b"]}))
    return folder


def data(corpus: Path) -> dict[str, Any]:
    home = corpus.parent
    return {"folders": [str(corpus)], "cache": str(home / "cache"), "split": str(home / "split.json")}


def settings(corpus: Path, task: str, **sections: Any) -> dict[str, Any]:
    loop = {"steps": 3, "learning_rate": 1e-3, "warmup_steps": 1, "validate_every": 3, "save_every": 1, "log_every": 1}
    common = {"task": task, "data": data(corpus), "loop": loop, "output": str(corpus.parent / task)}
    if task == "mel-decoder":
        common |= {"model": DECODER, "tokens": str(corpus.parent / "tokens.jsonl"), "training": {"crop_seconds": 0.4}}
    else:
        common |= {"model": VOCODER, "training": {"crop_frames": 20, "batch_size": 2, "distance_sizes": [256, 512]}}
    return common | {"training": common["training"] | {"batch_size": 2}} | sections


def vocoder_task(corpus: Path) -> VocoderTask:
    options = VocoderTraining(
        model=VocoderConfig(**VOCODER),
        adversarial=build(AdversarialConfig, ADVERSARIAL, "adversarial"),
        crop_frames=20, batch_size=2, distance_sizes=(256, 512),
    )  # fmt: skip
    config = build(RecordingsConfig, data(corpus), "data")
    training, validation, _ = split_recordings(load_recordings(config, 24000), config.split)
    return VocoderTask(options, training, validation)


def mel_decoder_task(corpus: Path) -> MelDecoderTask:
    options = MelDecoderTraining(
        model=MelDecoderConfig(**DECODER), crop_seconds=0.4, batch_size=2, adversarial_weight=1.0, channels=4
    )
    config = build(RecordingsConfig, data(corpus), "data")
    tokens = read_tokens(corpus.parent / "tokens.jsonl", UNITS)
    utterances = load_utterances(load_recordings(config, 24000), tokens, options, Path(config.cache))
    return MelDecoderTask(options, utterances[:2], utterances[2:])


@pytest.mark.parametrize("make", [vocoder_task, mel_decoder_task])
def test_every_parameter_of_every_module_receives_a_gradient(make: Any, corpus: Path) -> None:
    task = make(corpus)
    dataset = task.dataset()
    # Embeddings of tokens that a batch lacks get none, so gradients are gathered over a few batches.
    for batch in [task.collate([dataset[i] for i in indices]) for _ in range(6) for indices in task.epoch(0, 0)]:
        for name, loss, _ in task.losses(task.modules, batch):
            others = [module for key, module in task.modules.items() if key != name]
            other = [parameter.grad for module in others for parameter in module.parameters()]
            before = [None if grad is None else grad.clone() for grad in other]
            loss.backward()
            assert all((a is None and b is None) or torch.equal(a, b) for a, b in zip(before, other, strict=True))
    for module in task.modules.values():
        silent = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not silent


def test_predicted_frames_are_aligned_with_the_waveform(corpus: Path) -> None:
    plain = vocoder_task(corpus)
    recordings = [*dict.fromkeys(plain.crops.entries)]
    mels = {recording.name: LogMel(LogMelConfig())(recording.read()[None])[0] for recording in recordings}
    options = dataclasses.replace(plain.options, aligned_share=0.5)
    task = VocoderTask(options, recordings, [], mels)
    torch.manual_seed(0)
    batch = task.collate([task.dataset()[i % len(task.dataset())] for i in range(12)])
    assert 0 < int(batch["aligned"].sum()) < 12
    log_mel, waveform = task.pair(batch)
    assert log_mel.shape == batch["log_mel"].shape == (12, 20, 80) and waveform.shape == (12, 20 * 240)
    # Told the true frames as if predicted, both kinds of crop are given the same.
    torch.testing.assert_close(log_mel, batch["log_mel"], atol=0.05, rtol=0)


def test_epochs_are_deterministic_and_complete(corpus: Path) -> None:
    task = vocoder_task(corpus)
    assert task.epoch(1, 5) == task.epoch(1, 5) != task.epoch(2, 5)
    seen = sorted(index for batch in task.epoch(0, 0) for index in batch)
    assert len(seen) == len(set(seen)) and len(task.dataset()) - len(seen) < 2


@pytest.mark.parametrize("task", ["vocoder", "mel-decoder"])
def test_training_writes_a_checkpoint_and_resumes(task: str, corpus: Path) -> None:
    values = settings(corpus, task)
    whole = train(values | {"output": str(corpus.parent / "whole")})
    parts = values | {"output": str(corpus.parent / "parts")}
    train(parts | {"loop": values["loop"] | {"steps": 2}})
    assert train(parts).keys() == whole.keys()
    assert all(math.isfinite(value) for value in whole.values())
    steps = [json.loads(line)["step"] for line in (corpus.parent / "parts" / "log.jsonl").read_text().splitlines()]
    assert max(steps) == 3


def test_the_whole_route_from_recordings_to_a_stage(corpus: Path) -> None:
    home = corpus.parent
    train(settings(corpus, "mel-decoder"))
    train(settings(corpus, "vocoder"))
    aligned = {"mel_decoder": str(home / "mel-decoder"), "tokens": str(home / "tokens.jsonl")}
    more = {"aligned": aligned, "init_from": str(home / "vocoder"), "adversarial": ADVERSARIAL}
    train(settings(corpus, "vocoder", output=str(home / "tuned"), **more))
    stage = NeuralAcousticStage(load_mel_decoder(home / "mel-decoder"), load_vocoder(home / "tuned"))
    waveform, samples = stage(torch.randint(0, UNITS, (1, 20)), torch.tensor([20]))
    assert samples.tolist() == [9600] and waveform.isfinite().all()


def test_a_run_with_discriminators_starts_from_one_without(corpus: Path) -> None:
    home = corpus.parent
    train(settings(corpus, "vocoder"))
    first = load_vocoder(home / "vocoder").state_dict()
    values = settings(corpus, "vocoder", init_from=str(home / "vocoder"), adversarial=ADVERSARIAL)
    values["loop"] |= {"learning_rate": 0.0}
    train(values | {"output": str(home / "second")})
    second = load_vocoder(home / "second").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_gain_is_capped_by_the_peak() -> None:
    quiet, loud = torch.full((10,), 0.1), torch.full((10,), 0.6)
    assert level(quiet, 8.0, 0.95).max() == pytest.approx(0.1 * 10 ** (8 / 20), rel=1e-4)
    assert level(loud, 8.0, 0.95).max() == pytest.approx(0.95)


def test_held_out_clips_stay_out(corpus: Path) -> None:
    config = build(RecordingsConfig, data(corpus), "data")
    parts = split_recordings(load_recordings(config, 24000), config.split)
    assert [[recording.name for recording in part] for part in parts] == [["a1", "a2"], ["b1"], ["c1"]]


def test_a_clip_reads_zeros_past_its_ends(corpus: Path) -> None:
    recording = load_recordings(build(RecordingsConfig, data(corpus), "data"), 24000)[0]
    whole = recording.read()
    assert len(whole) == recording.samples
    part = recording.read(-5, recording.samples + 12)
    assert not part[:5].any() and not part[-7:].any() and torch.equal(part[5:-7], whole)


def test_spectral_distance_is_zero_only_for_the_same_sound() -> None:
    torch.manual_seed(0)
    distance = MultiResolutionDistance((256, 512), 24000)
    sound = torch.randn(1, 4800) * 0.1
    assert [float(part) for part in distance(sound, sound)] == [0.0, 0.0]
    assert all(part > 0.1 for part in distance(sound * 0.5, sound))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "voice"}, "task is 'voice'; it should be 'vocoder' or 'mel-decoder'"),
        ({"extra": {}}, "unknown section extra"),
        ({"model": {"depth": 3}}, "model: unknown setting depth"),
        ({"loop": {"steps": 1}}, "loop: setting learning_rate is missing"),
        ({"output": None}, "output is None; it should be a valid string"),
        ({"init_from": "nowhere"}, "nowhere holds no training checkpoint"),
        ({"training": {"crop_frames": 2}}, "crop_frames 2 is too short"),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], message: str, corpus: Path) -> None:
    with pytest.raises(UserError, match=message):
        train(settings(corpus, "vocoder") | change)


def test_tokens_that_do_not_fit_are_named(corpus: Path) -> None:
    tokens = corpus.parent / "tokens.jsonl"
    values = settings(corpus, "mel-decoder")
    with pytest.raises(UserError, match=r"tokens must be 0\.\.3"):
        train(values | {"model": DECODER | {"units": 4}})
    with pytest.raises(UserError, match=r"a1: 45 tokens are 1\.80 s, its audio is 0\.90 s; check model.frame_rate"):
        train(values | {"model": DECODER | {"frame_rate": 25}})
    tokens.write_text('{"id": "zz", "tokens": [1, 2]}\n')
    with pytest.raises(UserError, match="none of the 2 recordings has tokens"):
        train(values)


def test_a_training_folder_of_another_kind_is_refused(corpus: Path) -> None:
    train(settings(corpus, "vocoder"))
    with pytest.raises(UserError, match="holds a vocoder, wanted a mel-decoder"):
        load_mel_decoder(corpus.parent / "vocoder")
    with pytest.raises(UserError, match=r"config\.json: no such file"):
        load_vocoder(corpus.parent / "nowhere")


def test_module_names_are_those_that_checkpoints_use(corpus: Path) -> None:
    assert set(vocoder_task(corpus).modules) == {"vocoder", "discriminator"}
    modules: dict[str, nn.Module] = mel_decoder_task(corpus).modules
    assert set(modules) == {"mel_decoder", "discriminator"}
    assert LogMelConfig() == modules["mel_decoder"].mel


def test_centroids_of_a_tokenizer_are_kept(corpus: Path) -> None:
    centroids = torch.randn(UNITS, 5)
    write_tensors(corpus.parent / "codebook.safetensors", {"centroids": centroids}, half=False)
    values = settings(corpus, "mel-decoder", centroids=str(corpus.parent / "codebook.safetensors"))
    train(values | {"model": {**DECODER, "centroid_width": 5}})
    decoder = load_mel_decoder(corpus.parent / "mel-decoder")
    for part in (decoder.embedding, decoder.pitch.embedding):
        torch.testing.assert_close(part.centroids, centroids)
    write_tensors(corpus.parent / "codebook.safetensors", {"mean": centroids}, half=False)
    with pytest.raises(UserError, match="lacks centroids"):
        train(values | {"output": str(corpus.parent / "other"), "model": {**DECODER, "centroid_width": 5}})
