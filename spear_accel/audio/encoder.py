"""Speech encoders of fairseq2: 16 kHz waveforms to the hidden features of any layer.

The only module that imports fairseq2, and only once an encoder is built. Serves three kinds of encoder through one
`SpeechEncoder`: an asset card of fairseq2 (wav2vec 2.0 or w2v-BERT, with or without a CTC head), a small filterbank
Conformer of our own (`FbankEncoderConfig`), and that same Conformer with its CTC head while it is trained
(`create_ctc_model`). Does not know about clusters or tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from spear_accel.audio.libsndfile import load_libsndfile
from spear_accel.errors import UserError
from spear_accel.storage.weights import fill

__all__ = ["SAMPLE_RATE", "CtcModel", "FbankEncoderConfig", "SpeechEncoder", "create_ctc_model", "fbank"]

SAMPLE_RATE = 16_000
"""Sample rate in Hz of every encoder of these families."""

FBANK_BINS = 80
FBANK_RATE = 100
"""Filterbank frames per second: a 10 ms hop under a 25 ms window."""

_FBANK_MARGIN = 120
"""Samples mirrored at both ends so that filterbank frame k is centred on sample `160 k + 80`: (400 - 160) / 2."""

_WAVE_STRIDE, _WAVE_MARGIN = 320, 40
"""Hop of wav2vec 2.0's convolutions, and half of what their 400-sample receptive field exceeds it by."""


@dataclass(frozen=True)
class FbankEncoderConfig:
    """A small Conformer encoder on log-mel filterbanks with a CTC head (w2v-BERT's encoder, scaled down)."""

    symbols: int
    """Size of the CTC output, blank (index 0) included."""
    dim: int = 192
    layers: int = 8
    heads: int = 4
    feed_forward_inner: int = 576
    convolution_kernel: int = 15
    stride: int = 2
    """Filterbank frames stacked per encoder frame: 2 gives 50 frames per second."""
    dropout: float = 0.1
    position: str = "rotary"
    """"rotary", "relative" or "conv"."""
    mask_probability: float = 0.3
    """Share of the frames that training hides (wav2vec 2.0's time masking)."""
    mask_span: int = 6
    """Length of a hidden span in encoder frames."""


class CtcModel(nn.Module):
    """A fairseq2 recogniser behind plain tensors: filterbanks in, logits out."""

    def __init__(self, recogniser: nn.Module) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run the encoder and its CTC head.

        Args:
            features: Filterbanks [B, frames, 80], padded at the end; `frames` a multiple of the stride.
            lengths: Filterbank frames of each row [B], multiples of the stride.

        Returns:
            Logits [B, encoder frames, symbols] and their lengths [B].
        """
        logits, layout = self.recogniser(features, _layout(features, lengths))
        return logits, layout.seq_lens_pt


class SpeechEncoder(nn.Module):
    """Waveforms to the features of encoder layers.

    Layers count from 1, as in "w2v-BERT layer 7" (SPEAR-TTS, arXiv 2302.03540); layers above the last one wanted are
    not run. Features of a waveform do not depend on the other waveforms of its batch, with one exception: the first
    wav2vec 2.0 models (`base`, `large`) normalise their first convolution over the padded time axis, so whoever
    needs exact features from those encodes one waveform at a time.
    """

    # fairseq2's modules, whose types are known only where it is installed.
    frontend: Any
    encoder: Any

    def __init__(
        self, model: Any, *, input_kind: str, frame_rate: int, stride: int = 1, last_layer: int | None = None
    ) -> None:
        super().__init__()
        self.frontend, self.encoder = model.encoder_frontend, model.encoder
        self.input_kind, self.frame_rate, self.stride = input_kind, frame_rate, stride
        self.layers = len(self.encoder.layers)
        if last_layer is not None:
            self._check([last_layer])
            del self.encoder.layers[last_layer:]
        self.eval().requires_grad_(False)

    @classmethod
    def from_config(cls, config: FbankEncoderConfig, weights: dict[str, Tensor], last_layer: int) -> SpeechEncoder:
        """The small encoder with trained weights (those of `CtcModel`, its head and unused layers may be missing).

        Raises:
            UserError: The weights do not fit the configuration.
        """
        model: Any = create_ctc_model(config).recogniser
        del model.encoder.layers[last_layer:]
        own = {key.removeprefix("recogniser."): value for key, value in weights.items()}
        parts = nn.ModuleDict({"encoder_frontend": model.encoder_frontend, "encoder": model.encoder})
        known = {key: own[key] for key in parts.state_dict() if key in own}
        fill(parts, known, "the speech encoder's weights do not fit its configuration")
        return cls(model, input_kind="fbank", frame_rate=FBANK_RATE // config.stride, stride=config.stride)

    @classmethod
    def from_card(cls, name: str, last_layer: int | None = None) -> SpeechEncoder:
        """An encoder by the name of its fairseq2 asset card, for example `wav2vec2_base`.

        A local checkpoint has a name too once a card that points to it is registered or lies in fairseq2's asset
        folder; fairseq2 downloads and caches the checkpoints of its own cards.

        Raises:
            UserError: No such card, or the model is not of the wav2vec 2.0 or w2v-BERT family.
        """
        _initialise()
        from fairseq2.models import ModelNotKnownError, load_model

        try:
            model = load_model(name, device=torch.device("cpu"), dtype=torch.float32, progress=False)
        except ModelNotKnownError as error:
            raise UserError(f"fairseq2 knows no model {name!r}; `fairseq2 assets list` shows those it does") from error
        trunk: Any = getattr(model, "w2v2_model", model)
        if not hasattr(trunk, "encoder_frontend"):
            raise UserError(f"{name} is a {type(model).__name__}; a wav2vec 2.0 or w2v-BERT encoder is needed")
        extractor = trunk.encoder_frontend.feature_extractor
        stride = int(getattr(extractor, "stride", 0))
        if stride:
            return cls(trunk, input_kind="fbank", frame_rate=FBANK_RATE // stride, stride=stride, last_layer=last_layer)
        rate = SAMPLE_RATE // _WAVE_STRIDE
        return cls(trunk, input_kind="waveform", frame_rate=rate, last_layer=last_layer)

    @torch.inference_mode()
    def forward(self, waveforms: Sequence[Tensor], layers: Sequence[int]) -> list[dict[int, Tensor]]:
        """Features of each waveform.

        Args:
            waveforms: Mono float32 waveforms [samples] at 16 kHz.
            layers: The layers wanted, counted from 1.

        Returns:
            For each waveform a dict from layer to features [ceil(samples * frame_rate / 16000), D]; frame k is
            centred on sample `(k + 1/2) * 16000 / frame_rate`.
        """
        return self.encode([self._input(waveform) for waveform in waveforms], layers)

    @torch.inference_mode()
    def encode(self, inputs: Sequence[Tensor], layers: Sequence[int]) -> list[dict[int, Tensor]]:
        """As `forward`, of what enters the encoder: filterbanks [frames, 80] (`fbank`), or waveforms with margins."""
        self._check(layers)
        lengths = torch.tensor([len(item) for item in inputs])
        padded = nn.utils.rnn.pad_sequence(list(inputs), batch_first=True)
        caught: dict[int, Tensor] = {}

        def catch(index: int, hidden: Tensor, *_: Any) -> bool:
            if index + 1 in layers:
                caught[index + 1] = hidden
            return True

        hidden, layout = self.frontend(padded, _layout(padded, lengths))
        with self.encoder.register_layer_hook(catch):
            self.encoder(hidden, layout)
        return [{layer: caught[layer][row, :length] for layer in layers} for row, length in enumerate(layout.seq_lens)]

    def frames(self, samples: int) -> int:
        """Feature frames of a waveform of that many samples."""
        return -(-samples * self.frame_rate // SAMPLE_RATE)

    def _input(self, waveform: Tensor) -> Tensor:
        """Mirror the ends so that frames are centred and their number follows from the length alone."""
        whole = self.frames(len(waveform)) * SAMPLE_RATE // self.frame_rate
        if self.input_kind == "fbank":
            return fbank(waveform, frames=whole * FBANK_RATE // SAMPLE_RATE)
        return _mirror(waveform, _WAVE_MARGIN, whole - len(waveform) + _WAVE_MARGIN)

    def _check(self, layers: Sequence[int]) -> None:
        wrong = [layer for layer in layers if not 1 <= layer <= len(self.encoder.layers)]
        if wrong:
            raise UserError(f"layer {wrong[0]} is not there; this encoder has layers 1 to {len(self.encoder.layers)}")


def fbank(waveform: Tensor, frames: int | None = None) -> Tensor:
    """Kaldi log-mel filterbanks of a 16 kHz waveform, mean and variance normalised over the utterance.

    Args:
        waveform: Float32 in [-1, 1] [samples].
        frames: Frames wanted; `ceil(samples / 160)` when left out.

    Returns:
        [frames, 80]; frame k is centred on sample `160 k + 80`.
    """
    hop = SAMPLE_RATE // FBANK_RATE
    frames = -(-len(waveform) // hop) if frames is None else frames
    padded = _mirror(waveform, _FBANK_MARGIN, frames * hop - len(waveform) + _FBANK_MARGIN)
    converted: Tensor = _fbank_converter()({"waveform": padded.unsqueeze(1), "sample_rate": SAMPLE_RATE})["fbank"]
    return converted[:frames]


def create_ctc_model(config: FbankEncoderConfig) -> CtcModel:
    """The small Conformer with a fresh CTC head, randomly initialised."""
    _initialise()
    from fairseq2.models.transformer import TransformerNormOrder
    from fairseq2.models.wav2vec2 import Wav2Vec2EncoderConfig
    from fairseq2.models.wav2vec2.asr import Wav2Vec2AsrConfig, get_wav2vec2_asr_model_hub

    encoder = Wav2Vec2EncoderConfig(
        model_dim=config.dim, feature_dim=FBANK_BINS * config.stride, use_fbank=True,
        num_fbank_channels=FBANK_BINS, fbank_stride=config.stride, sample_fbank_every_k=1, layer_norm_features=False,
        pos_encoder_type=config.position, use_conformer=True, num_encoder_layers=config.layers,
        num_encoder_attn_heads=config.heads, ffn_inner_dim=config.feed_forward_inner, dropout_p=config.dropout,
        attn_dropout_p=config.dropout, layer_drop_p=0.0, norm_order=TransformerNormOrder.POST,
        depthwise_conv_kernel_size=config.convolution_kernel,
    )  # fmt: skip
    whole = Wav2Vec2AsrConfig(
        encoder_config=encoder, target_vocab_size=config.symbols, final_dropout_p=config.dropout,
        use_masking=config.mask_probability > 0, temporal_mask_span_len=config.mask_span,
        max_temporal_mask_prob=config.mask_probability, min_num_temporal_mask_spans=1, max_spatial_mask_prob=0.0,
        min_num_spatial_mask_spans=0, spatial_mask_span_len=1,
    )  # fmt: skip
    return CtcModel(get_wav2vec2_asr_model_hub().create_new_model(whole, device=torch.device("cpu")))


def _mirror(waveform: Tensor, left: int, right: int) -> Tensor:
    """Extend `waveform` [samples] by its mirror image; silence instead where it is too short for that."""
    mode = "reflect" if len(waveform) > max(left, right) else "constant"
    return nn.functional.pad(waveform.view(1, -1), (left, right), mode=mode).view(-1)


def _layout(batch: Tensor, lengths: Tensor) -> Any:
    from fairseq2.nn import BatchLayout

    return BatchLayout.of(batch, lengths.tolist())


@lru_cache(maxsize=1)
def _fbank_converter() -> Any:
    _initialise()
    from fairseq2.data.audio import WaveformToFbankConverter

    return WaveformToFbankConverter(
        num_mel_bins=FBANK_BINS, waveform_scale=2.0**15, channel_last=True, standardize=True, dtype=torch.float32
    )


@lru_cache(maxsize=1)
def _initialise() -> None:
    """Start fairseq2 once per process.

    Raises:
        UserError: fairseq2, or the libsndfile that it needs, is not installed.
    """
    load_libsndfile()
    try:
        from fairseq2 import init_fairseq2
        from fairseq2.error import InvalidOperationError
    except (ImportError, OSError) as error:
        raise UserError(
            f"speech encoders need fairseq2 ({error}); install it with: pip install 'spear-accel[fairseq2]'"
        ) from error
    # It may be started once only, and a program that uses fairseq2 for other things has done so.
    with suppress(InvalidOperationError):
        init_fairseq2(no_progress=True)
