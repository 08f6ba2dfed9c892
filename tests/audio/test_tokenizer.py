"""Speech tokenizer: rates, windows, batches, its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from spear_accel.audio import tokenizer as module
from spear_accel.audio.encoder import FbankEncoderConfig, SpeechEncoder, create_ctc_model
from spear_accel.audio.kmeans import Codebook, fit_codebook
from spear_accel.audio.tokenizer import SpeechTokenizer, SpeechTokenizerConfig, collapse, pooled_features
from spear_accel.errors import UserError
from tests.extras import need_fairseq2

need_fairseq2()

ENCODER = FbankEncoderConfig(
    symbols=5, dim=32, layers=2, heads=2, feed_forward_inner=48, convolution_kernel=7, dropout=0.0
)  # fmt: skip


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return create_ctc_model(ENCODER).state_dict()


def tokenizer(weights: dict[str, torch.Tensor], pool: int = 1, collapse_repeats: bool = False) -> SpeechTokenizer:
    encoder = SpeechEncoder.from_config(ENCODER, weights, last_layer=2)
    features = pooled_features(encoder, noise(40_000, seed=9), (2,), pool)[2]
    config = SpeechTokenizerConfig(
        layer=2, units=8, frame_rate=50 // pool, pool=pool, collapse_repeats=collapse_repeats, encoder=vars(ENCODER)
    )
    return SpeechTokenizer(config, encoder, fit_codebook(features, 8))


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("samples", [100, 640, 641, 16_000])
def test_token_count_follows_from_the_length(weights: dict[str, torch.Tensor], pool: int, samples: int) -> None:
    tokens = tokenizer(weights, pool).tokenize([noise(samples)])[0]
    assert tokens.dtype == torch.int64
    assert len(tokens) == -(-samples // (320 * pool))


def test_tokens_do_not_depend_on_the_batch(weights: dict[str, torch.Tensor]) -> None:
    waveforms = [noise(3000 + 1111 * i, seed=i) for i in range(6)]
    own = tokenizer(weights)
    together = own.tokenize(waveforms)
    for waveform, tokens in zip(waveforms, together, strict=True):
        assert torch.equal(own.tokenize([waveform])[0], tokens)


def test_long_audio_runs_in_windows(weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    own = tokenizer(weights)
    forward = SpeechEncoder.forward

    def record(self: SpeechEncoder, waveforms: list[torch.Tensor], layers: tuple[int, ...]) -> object:
        seen.extend(len(waveform) for waveform in waveforms)
        return forward(self, waveforms, layers)

    monkeypatch.setattr(SpeechEncoder, "forward", record)
    monkeypatch.setattr(module, "WINDOW_SECONDS", 2)
    tokens = own.tokenize([noise(16_000 * 7 + 5)])[0]
    assert len(tokens) == 50 * 7 + 1
    assert len(seen) == 4
    assert max(seen) <= 4 * 16_000


def test_collapse() -> None:
    assert collapse(torch.tensor([3, 3, 1, 1, 1, 3])).tolist() == [3, 1, 3]


def test_collapsed_tokens_have_no_repeats(weights: dict[str, torch.Tensor]) -> None:
    plain = tokenizer(weights).tokenize([noise(32_000)])[0]
    collapsed = tokenizer(weights, collapse_repeats=True).tokenize([noise(32_000)])[0]
    assert torch.equal(collapsed, collapse(plain))


def test_folder_round_trip(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    halved = {k: v.half().float() if v.is_floating_point() else v for k, v in weights.items()}
    own = tokenizer(halved)
    own.save(tmp_path, halved)
    again = SpeechTokenizer.from_folder(tmp_path)
    assert again.config == own.config
    assert torch.equal(again.tokenize([noise(20_000)])[0], own.tokenize([noise(20_000)])[0])


def test_faults_name_the_file(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        SpeechTokenizer.from_folder(tmp_path)
    tokenizer(weights).save(tmp_path, weights)
    (tmp_path / "encoder.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"encoder\.safetensors"):
        SpeechTokenizer.from_folder(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "colour": 1}))
    with pytest.raises(UserError, match="colour"):
        SpeechTokenizer.from_folder(tmp_path)


def test_rates_must_agree(weights: dict[str, torch.Tensor]) -> None:
    encoder = SpeechEncoder.from_config(ENCODER, weights, last_layer=2)
    codebook = Codebook(torch.zeros(32), torch.ones(32), torch.randn(4, 32))
    with pytest.raises(UserError, match="rate of 50"):
        SpeechTokenizer(
            SpeechTokenizerConfig(layer=2, units=4, frame_rate=25, encoder=vars(ENCODER)), encoder, codebook
        )


def test_a_waveform_without_samples_is_refused(weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(UserError, match="without samples"):
        tokenizer(weights).tokenize([torch.zeros(0)])
