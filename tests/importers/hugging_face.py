"""Tiny random models of transformers, by the name of their variant, saved as their package saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

VOCAB, PAD, EOS, START = 48, 0, 1, 0
Builder = Callable[..., Any]


def _t5(**changes: Any) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    shape = {
        "vocab_size": VOCAB, "d_model": 32, "d_kv": 12, "d_ff": 40, "num_layers": 3, "num_decoder_layers": 2,
        "num_heads": 4, "relative_attention_num_buckets": 16, "relative_attention_max_distance": 24,
        "decoder_start_token_id": START, "pad_token_id": PAD, "eos_token_id": EOS,
    }  # fmt: skip
    return T5ForConditionalGeneration(T5Config(**{**shape, **changes}))


def _bart_shape(**changes: Any) -> dict[str, Any]:
    shape = {
        "vocab_size": VOCAB, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40, "max_position_embeddings": 70,
        "pad_token_id": PAD, "bos_token_id": 2, "eos_token_id": EOS, "decoder_start_token_id": EOS,
        "forced_eos_token_id": None, "init_std": 0.2,
    }  # fmt: skip
    return {**shape, **changes}


def _bart(**changes: Any) -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(BartConfig(**_bart_shape(**changes)))


def _mbart(**changes: Any) -> Any:
    from transformers import MBartConfig, MBartForConditionalGeneration

    return MBartForConditionalGeneration(MBartConfig(**_bart_shape(**changes)))


def _marian(**changes: Any) -> Any:
    from transformers import MarianConfig, MarianMTModel

    start = {"decoder_start_token_id": PAD, **changes}
    return MarianMTModel(MarianConfig(**_bart_shape(decoder_vocab_size=changes.get("vocab_size", VOCAB), **start)))


def _separate_marian() -> Any:
    from transformers import MarianConfig, MarianMTModel

    shape = _bart_shape(decoder_vocab_size=VOCAB, share_encoder_decoder_embeddings=False, decoder_start_token_id=PAD)
    return MarianMTModel(MarianConfig(**shape))


def _m2m(**changes: Any) -> Any:
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    return M2M100ForConditionalGeneration(M2M100Config(**_bart_shape(**changes)))


def _pegasus() -> Any:
    from transformers import PegasusConfig, PegasusForConditionalGeneration

    return PegasusForConditionalGeneration(PegasusConfig(**_bart_shape(decoder_start_token_id=PAD)))


def _mt5() -> Any:
    from transformers import MT5Config, MT5ForConditionalGeneration

    return MT5ForConditionalGeneration(
        MT5Config(
            vocab_size=VOCAB,
            d_model=32,
            d_kv=8,
            d_ff=40,
            num_layers=2,
            num_heads=4,
            decoder_start_token_id=START,
            pad_token_id=PAD,
            eos_token_id=EOS,
        )
    )


VARIANTS: dict[str, Builder] = {
    "t5": _t5,
    "t5-v1.1": lambda: _t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "t5-gated-silu": lambda: _t5(feed_forward_proj="gated-silu"),
    "mt5": _mt5,
    "bart": _bart,
    "bart-scaled": lambda: _bart(scale_embedding=True, activation_function="gelu_new", tie_word_embeddings=False),
    "mbart": lambda: _mbart(scale_embedding=True),
    "marian": lambda: _marian(scale_embedding=True, activation_function="swish"),
    "marian-separate": _separate_marian,
    "pegasus": _pegasus,
    "m2m_100": lambda: _m2m(scale_embedding=True, activation_function="relu"),
}
"""Every family, and what models of one family differ in."""


def build(variant: str, seed: int = 0) -> Any:
    """A random model whose logits are far enough apart for greedy decoding to mean something."""
    torch.manual_seed(seed)
    model = VARIANTS[variant]().eval()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Fresh norms and biases are ones and zeros, which would hide that they are read wrongly.
            if parameter.dim() == 1 or "relative" in name:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        if "final_logits_bias" in dict(model.named_buffers()):
            model.final_logits_bias.add_(0.3 * torch.randn(model.final_logits_bias.shape, generator=generator))
        model.get_decoder().embed_tokens.weight[PAD].zero_()
        if variant in ("t5", "t5-gated-silu"):
            # With embeddings as large as fresh ones are, a tied model only repeats its last token.
            model.shared.weight.mul_(0.15)
            model.decoder.final_layer_norm.weight.mul_(10.0)
    return model


def save(model: Any, folder: Path, **options: Any) -> Path:
    """Write a model with its generation config."""
    model.save_pretrained(folder, **options)
    return folder


def texts(vocab: int = 30) -> list[list[int]]:
    """Ids of texts of several lengths, EOS included."""
    generator = torch.Generator().manual_seed(3)
    lengths = (7, 3, 19, 1, 11)
    return [[*torch.randint(3, vocab, (length,), generator=generator).tolist(), EOS] for length in lengths]


def word_tokenizer() -> str:
    """A `tokenizer.json` of words w3, w4, ... that puts EOS behind a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"<pad>": PAD, "</s>": EOS, "<unk>": 2} | {f"w{token}": token for token in range(3, VOCAB)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    return str(tokenizer.to_str())
