"""Small models with random weights, whose logits are lively enough to test with."""

from __future__ import annotations

import pytest
import torch

from spear_accel.model import TextToSemantic, TextToSemanticConfig


def tiny_config(**changes: object) -> TextToSemanticConfig:
    fields = {
        "text_vocab_size": 30, "semantic_units": 20, "dim": 32, "heads": 4, "kv_heads": 2, "head_dim": 8,
        "encoder_layers": 2, "decoder_layers": 4, "ff_inner": 48, "embedding_scale": 6.0, "text_eos_id": 2,
    }  # fmt: skip
    return TextToSemanticConfig(**{**fields, **changes})  # type: ignore[arg-type]


def lively(config: TextToSemanticConfig) -> TextToSemantic:
    """A model whose every parameter matters: norms and embeddings are not at their mild initial values."""
    torch.manual_seed(1)
    model = TextToSemantic(config).eval()
    with torch.no_grad():
        model.decoder.embedding.weight.mul_(10.0)
        for name, parameter in model.named_parameters():
            if name.endswith("gain"):
                parameter.add_(0.2 * torch.randn_like(parameter))
            if name.endswith(("bias", "positions", "rate.weight", "language.weight", "norm.weight")):
                parameter.add_(0.3 * torch.randn_like(parameter))
            if name.endswith("relative.weight"):
                parameter.add_(torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def model() -> TextToSemantic:
    return lively(tiny_config())


OTHERS = {
    "text_pad_id": 0, "text_eos_id": None, "norm": "layer", "feed_forward": "gelu", "attention_bias": True,
    "feed_forward_bias": True, "positions": "table", "causal_encoder": True, "tied_output": False,
    "semantic_eos_id": 19, "text_start_id": 0, "text_length": 40, "languages": 3, "speaking_rates": 4,
    "null_kv": False, "max_positions": 400,
}  # fmt: skip
"""What a model of another maker may do differently, all at once."""
T5 = {
    "norm": "rms-eps", "feed_forward": "geglu-tanh", "positions": "relative", "relative_buckets": 8,
    "relative_distance": 20, "null_kv": False, "kv_heads": 4, "text_eos_id": None, "semantic_eos_id": 1,
    "embedding_scale": 1.0, "tied_output": False,
}  # fmt: skip
BART = {
    "norm": "layer", "norm_order": "post", "embedding_norm": True, "feed_forward": "relu", "attention_bias": True,
    "feed_forward_bias": True, "positions": "table", "output_bias": True, "shared_embedding": True,
    "text_vocab_size": 22, "text_positions": 60, "null_kv": False, "kv_heads": 4, "text_eos_id": None,
    "semantic_eos_id": 1,
}  # fmt: skip
"""As models of Hugging Face transformers are."""
VARIANTS = (
    {}, {"kv_heads": 4}, {"null_kv": False}, {"heads": 3, "kv_heads": 1}, {"pace": 2.5},
    {"encoder_kv_heads": 4, "cross_kv_heads": 1, "feed_forward_bias": True, "text_target": True}, OTHERS,
    T5, BART, {"feed_forward": "swiglu"}, {"feed_forward": "gelu-tanh"},
    {"feed_forward": "reglu", "norm_order": "post"},
)  # fmt: skip


def named(changes: dict[str, object]) -> str:
    """What a test of a variant is called."""
    known = {"others": OTHERS, "t5": T5, "bart": BART}
    return next((name for name, one in known.items() if one is changes), str(changes))


@pytest.fixture(params=VARIANTS, ids=named)
def any_model(request: pytest.FixtureRequest) -> TextToSemantic:
    return lively(tiny_config(**request.param))
