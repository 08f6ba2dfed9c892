"""The fairseq2 encoders: frames, padding, layers, cards."""

from __future__ import annotations

import ctypes.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spear_accel.audio.encoder import SAMPLE_RATE, FbankEncoderConfig, SpeechEncoder, create_ctc_model, fbank
from spear_accel.audio.libsndfile import load_libsndfile
from spear_accel.errors import UserError
from tests.extras import need_fairseq2

need_fairseq2()

TINY = FbankEncoderConfig(
    symbols=12, dim=32, layers=3, heads=2, feed_forward_inner=48, convolution_kernel=7, dropout=0.0
)  # fmt: skip


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return create_ctc_model(TINY).state_dict()


@pytest.fixture(scope="module")
def encoder(weights: dict[str, torch.Tensor]) -> SpeechEncoder:
    return SpeechEncoder.from_config(TINY, weights, last_layer=3)


@pytest.mark.parametrize("samples", [160, 161, 4000, 16_000, 16_001])
def test_fbank_frames_follow_from_the_length(samples: int) -> None:
    assert fbank(noise(samples)).shape == (-(-samples // 160), 80)


@pytest.mark.parametrize("samples", [320, 321, 5000, 16_000])
def test_frames_follow_from_the_length(encoder: SpeechEncoder, samples: int) -> None:
    features = encoder([noise(samples)], (2,))[0][2]
    assert features.shape == (encoder.frames(samples), 32) == (-(-samples // 320), 32)


def test_a_click_lands_on_its_frame(encoder: SpeechEncoder) -> None:
    quiet = noise(SAMPLE_RATE) * 1e-3
    click = quiet.clone()
    click[160 * 40 + 60 : 160 * 40 + 100] += 0.5
    loudest = (fbank(click) - fbank(quiet)).sum(dim=1).argmax()
    assert abs(int(loudest) - 40) <= 1


def test_padding_does_not_reach_the_features(encoder: SpeechEncoder) -> None:
    short, long = noise(6000), noise(16_000, seed=1)
    alone = encoder([short], (1, 3))[0]
    together = encoder([long, short], (1, 3))[1]
    for layer in (1, 3):
        torch.testing.assert_close(together[layer], alone[layer], atol=2e-5, rtol=0)


def test_layers_above_the_last_are_not_kept(weights: dict[str, torch.Tensor], encoder: SpeechEncoder) -> None:
    shorter = SpeechEncoder.from_config(TINY, weights, last_layer=2)
    assert sum(p.numel() for p in shorter.parameters()) < sum(p.numel() for p in encoder.parameters())
    torch.testing.assert_close(shorter([noise(8000)], (2,))[0][2], encoder([noise(8000)], (2,))[0][2])
    with pytest.raises(UserError, match="layers 1 to 2"):
        shorter([noise(8000)], (3,))


def test_missing_weights_are_named(weights: dict[str, torch.Tensor]) -> None:
    key = "recogniser.encoder.layers.0.self_attn.q_proj.weight"
    with pytest.raises(UserError, match=r"encoder\.layers\.0\.self_attn\.q_proj\.weight"):
        SpeechEncoder.from_config(TINY, {k: v for k, v in weights.items() if k != key}, last_layer=3)


def test_every_parameter_of_the_recogniser_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = create_ctc_model(FbankEncoderConfig(**{**vars(TINY), "mask_probability": 0.5})).train()
    logits, lengths = model(torch.randn(2, 200, 80), torch.tensor([200, 160]))
    assert lengths.tolist() == [100, 80]
    logits.square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


CARD = """
import sys, torch
from spear_accel.audio.libsndfile import load_libsndfile
load_libsndfile()
from fairseq2 import init_fairseq2
from fairseq2.composition import register_in_memory_assets
from spear_accel.errors import UserError
from spear_accel.audio import encoder as module
from fairseq2.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2EncoderConfig, get_wav2vec2_model_hub

path = sys.argv[1]
config = dict(encoder_config=dict(model_dim=32, feature_dim=16, num_encoder_layers=3, num_encoder_attn_heads=2,
    ffn_inner_dim=32, feature_extractor_layer_norm_convs=True, pos_conv_kernel_size=8, num_pos_conv_groups=2,
    feature_extractor_layer_descs=[[16, 10, 5]] + [[16, 3, 2]] * 4 + [[16, 2, 2]] * 2), final_dim=8, quantized_dim=16,
    num_codebooks=2, num_codebook_entries=4)
card = dict(name="tiny_local", model_family="wav2vec2", model_arch="base", checkpoint="file://" + path,
    model_config=config)
init_fairseq2(no_progress=True, extras=lambda c: register_in_memory_assets(c, "test", [card]))
inner = {**config["encoder_config"]}
inner["feature_extractor_layer_descs"] = [tuple(d) for d in inner["feature_extractor_layer_descs"]]
whole = Wav2Vec2Config(encoder_config=Wav2Vec2EncoderConfig(**inner),
    **{k: v for k, v in config.items() if k != "encoder_config"})
model = get_wav2vec2_model_hub().create_new_model(whole, device=torch.device("cpu"))
torch.save(model.state_dict(), path)

encoder = module.SpeechEncoder.from_card("tiny_local", last_layer=2)
wave = 0.1 * torch.randn(16001)
features = encoder([wave, wave[:9000]], (1, 2))
assert encoder.frame_rate == 50
assert features[0][2].shape == (51, 32), features[0][2].shape
alone = encoder([wave[:9000]], (2,))[0][2]
torch.testing.assert_close(features[1][2], alone, atol=2e-5, rtol=0)
try:
    module.SpeechEncoder.from_card("no_such_model")
except UserError as error:
    assert "no_such_model" in str(error)
else:
    raise AssertionError("an unknown card was taken")
print("ok")
"""


def test_an_asset_card_by_name(tmp_path: Path) -> None:
    """In a process of its own, because fairseq2 takes its assets once."""
    command = [sys.executable, "-c", CARD, str(tmp_path / "tiny.pt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip().endswith("ok"), done.stderr[-2000:]


def test_libsndfile_of_the_soundfile_package_serves_fairseq2() -> None:
    """With the system's own library hidden, the bundled one is loaded under the name that fairseq2n asks for."""
    code = (
        "import ctypes, ctypes.util\n"
        "ctypes.util.find_library = lambda name: None\n"
        "from spear_accel.audio.libsndfile import load_libsndfile\n"
        "load_libsndfile()\n"
        "assert any('soundfile_data' in line for line in open('/proc/self/maps')), 'not loaded'\n"
        "from spear_accel.audio import encoder\n"
        "import torch; print(encoder.fbank(torch.zeros(1600) + 0.01).shape[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "10", done.stderr[-2000:]


def test_without_any_libsndfile_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setitem(sys.modules, "_soundfile_data", None)
    with pytest.raises(UserError, match=r"need libsndfile .*; install a wheel of soundfile"):
        load_libsndfile()
