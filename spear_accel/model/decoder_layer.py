"""One layer of a decoder: self-attention, cross-attention to the text and feed-forward.

Knows neither embeddings nor logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor

from spear_accel.model.attention import CrossAttention, CrossReader, SelfAttention
from spear_accel.model.cache import CrossCache, KeyValueCache
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.layers import ResidualLayer, make_feed_forward, make_norm
from spear_accel.model.views import BlockViews


class DecoderLayer(ResidualLayer):
    """Self-attention, cross-attention and feed-forward. [B, T, D] -> [B, T, D]."""

    def __init__(self, config: TextToSemanticConfig, own_memory: bool = True) -> None:
        """own_memory: whether the layer projects its own keys and values of the text; draft heads borrow a layer's."""
        super().__init__(config)
        gain = (3 * config.decoder_layers) ** -0.5
        self.attention_norm = make_norm(config)
        self.attention = SelfAttention(config, gain)
        self.cross_norm = make_norm(config)
        self.cross = CrossAttention(config, gain) if own_memory else CrossReader(config, gain)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = make_feed_forward(config, gain)

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-attention keys and values of encoded text [B, X, D]: [B, G, X', C] each."""
        return cast("CrossAttention", self.cross).project(memory)

    def attend(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """Causal self-attention over whole sequences x [B, T, D]. mask: what scores get added instead of a plain
        causal mask, float [1, H, T, T]."""
        branch = self.attention(self.entering(x, self.attention_norm), rotary, mask, mask is None)
        return self.leaving(x, branch, self.attention_norm)

    def attend_cached(self, x: Tensor, views: BlockViews, layer: int) -> Tensor:
        """Self-attention from new tokens x [B, T, D] to the cache of `layer`, which receives them first."""
        branch = self.attention.step(self.entering(x, self.attention_norm), views, layer)
        return self.leaving(x, branch, self.attention_norm)

    def attend_text(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Cross-attention, each position by itself. mask: as `CrossReader.forward` takes it."""
        branch = self.cross(self.entering(x, self.cross_norm), keys, values, mask)
        return self.leaving(x, branch, self.cross_norm)

    def feed(self, x: Tensor) -> Tensor:
        """Feed-forward, each position by itself."""
        branch = self.feed_forward(self.entering(x, self.feed_forward_norm))
        return self.leaving(x, branch, self.feed_forward_norm)

    def read(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Cross-attention, then feed-forward."""
        return self.feed(self.attend_text(x, keys, values, mask))

    def text_weights(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights [B, H, T, X] of `attend_text`. See `CrossReader.weights`."""
        return self.cross.weights(self.entering(x, self.cross_norm), keys, mask)


def run_layers(
    layers: Sequence[DecoderLayer], x: Tensor, cache: KeyValueCache, rotary: Tensor, cross: CrossCache, source: int
) -> Tensor:
    """Run a draft head's own layers for new tokens x [B, T, D], written behind the lengths of `cache`.

    rotary: the whole table; source: the target's layer whose keys and values of the text all of them read in `cross`.
    """
    views = BlockViews.of(cache, cache.place(x.shape[1]), rotary)
    for number, layer in enumerate(layers):
        x = layer.attend_cached(x, views, number)
        x = layer.read(x, cross.keys[source], cross.values[source], cross.mask)
    return x
