"""What every test package shares: a tiny voice with random weights, complete and fast."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from spear_accel.acoustic import LogMelConfig, MelDecoder, MelDecoderConfig, NeuralAcousticStage, Vocoder, VocoderConfig
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.text import TextTokenizer, TokenizerConfig
from spear_accel.voice import components
from spear_accel.voice.folder import VoiceCard, seal

torch.set_num_threads(1)
# Whether an example takes long is a matter of the machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "She sells sea shells by the shore, and the shells are fine.",
    "What did you say? Nothing at all!",
    "He was forty-two years old; it was a cold night.",
    "They went to the market - and came back again.",
)
UNITS = 20
FRAME_RATE = 50


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """The accelerate library keeps one state a process, and refuses a training of another precision after it."""
    yield
    if "accelerate.state" in sys.modules:
        sys.modules["accelerate.state"].AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def sentences() -> tuple[str, ...]:
    return SENTENCES


@pytest.fixture(scope="session")
def tiny_tokenizer() -> TextTokenizer:
    return TextTokenizer.train(SENTENCES, TokenizerConfig(vocab_size=60))


@pytest.fixture(scope="session")
def shared_voice(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: TextTokenizer) -> Path:
    """A sealed voice folder that no test may change; see `tiny_voice`."""
    folder = tmp_path_factory.mktemp("voices") / "tiny"
    folder.mkdir()
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    tiny_tokenizer.save(folder / "tokenizer.model")
    components.save_text_to_semantic(_model(tiny_tokenizer.vocab_size), folder / "text_to_semantic")
    _acoustic().save(folder / "acoustic")
    torch.set_rng_state(generator_state)
    seal(folder, VoiceCard("tiny", "en", "CC0-1.0", FRAME_RATE, sample_rate=24_000, tokens_per_character=1.0))
    return folder


@pytest.fixture
def tiny_voice(shared_voice: Path, tmp_path: Path) -> Path:
    """A copy of the tiny voice to damage or change."""
    return Path(shutil.copytree(shared_voice, tmp_path / "tiny"))


def _model(text_vocab: int) -> TextToSemantic:
    config = TextToSemanticConfig(
        text_vocab_size=text_vocab + 1, semantic_units=UNITS, dim=32, heads=2, kv_heads=1, head_dim=16,
        encoder_layers=1, decoder_layers=2, ff_inner=48, text_pad_id=0, text_eos_id=text_vocab,
    )  # fmt: skip
    return TextToSemantic(config).eval()


def _acoustic() -> NeuralAcousticStage:
    mel = LogMelConfig()
    decoder = MelDecoderConfig(
        units=UNITS, frame_rate=FRAME_RATE, width=16, hidden=32, token_blocks=1, frame_blocks=1, pitch_width=16,
        pitch_blocks=1,
    )  # fmt: skip
    vocoder = VocoderConfig(width=16, hidden=32, blocks=1)
    return NeuralAcousticStage(MelDecoder(decoder, mel).eval(), Vocoder(vocoder, mel).eval())
