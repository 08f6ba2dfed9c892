"""Building blocks without state: norms, feed-forwards, dropout, rotary and sinusoidal positions.

Knows nothing about attention, caches or tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.kernels.projection import Projection
from spear_accel.model.config import TextToSemanticConfig

# Small, because the embedding is also the output projection: a large one would start by predicting its own input.
EMBEDDING_STD = 0.02


def drop(x: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout that costs nothing outside training. On a CPU the probability is rounded to 1 / 256."""
    if not training or probability == 0.0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, probability)
    # Bytes of wide random integers: torch's own Bernoulli draws on a CPU took a seventh of the training time.
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    dropped = min(255, max(1, round(probability * 256)))
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * (kept * (256 / (256 - dropped))).to(x.dtype)


def linear(
    inputs: int, outputs: int, gain: float = 1.0, bias: bool = False, kind: type[Projection] = Projection
) -> Projection:
    """A projection with weights of standard deviation gain / sqrt(inputs), and zeros for a bias if wanted."""
    layer = kind(inputs, outputs, bias)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class RMSNorm(nn.Module):
    """x / rms(x) * gain over the last dimension (Zhang & Sennrich 2019). [..., D] -> [..., D]."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))
        self.scale = dim**-0.5
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        if torch.is_grad_enabled():
            normed: Tensor = x / (length * self.scale).clamp_min(self.eps) * self.gain
        else:
            # The same in place: a step of decoding has so little to compute that every new tensor counts.
            normed = x.div(length.mul_(self.scale).clamp_min_(self.eps)).mul_(self.gain)
        return normed.to(x.dtype)


class RootMeanSquareNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * gain over the last dimension, as T5 has it. [..., D] -> [..., D]."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        square = x.float().square().mean(dim=-1, keepdim=True)
        return (x * torch.rsqrt(square + self.eps)).to(x.dtype) * self.gain


Activation = Callable[[Tensor], Tensor]


class FeedForward(nn.Module):
    """GEGLU and its kin: out(activation(gate) * value), the gate being the second half (Shazeer 2020).

    [B, T, D] -> [B, T, D].
    """

    def __init__(
        self,
        dim: int,
        inner: int,
        dropout: float,
        out_gain: float,
        bias: bool = False,
        activation: Activation = F.gelu,
    ) -> None:
        super().__init__()
        self.expand = linear(dim, 2 * inner, bias=bias)
        self.out = linear(inner, dim, out_gain, bias)
        self.dropout, self.activation = dropout, activation

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.expand(x).chunk(2, dim=-1)
        inner = drop(self.activation(gate) * value, self.dropout, self.training)
        out: Tensor = self.out(inner)
        return out


class PlainFeedForward(nn.Module):
    """out(activation(expand(x))) (Vaswani et al. 2017). [B, T, D] -> [B, T, D]."""

    def __init__(
        self,
        dim: int,
        inner: int,
        dropout: float,
        out_gain: float,
        bias: bool = False,
        activation: Activation = F.gelu,
    ) -> None:
        super().__init__()
        self.expand = linear(dim, inner, bias=bias)
        self.out = linear(inner, dim, out_gain, bias)
        self.dropout, self.activation = dropout, activation

    def forward(self, x: Tensor) -> Tensor:
        inner = drop(self.activation(self.expand(x)), self.dropout, self.training)
        out: Tensor = self.out(inner)
        return out


ACTIVATIONS: dict[str, Activation] = {
    "geglu": F.gelu, "gelu": F.gelu, "geglu-tanh": partial(F.gelu, approximate="tanh"),
    "gelu-tanh": partial(F.gelu, approximate="tanh"), "reglu": F.relu, "relu": F.relu, "swiglu": F.silu, "silu": F.silu,
}  # fmt: skip
"""By `TextToSemanticConfig.feed_forward`."""


def make_norm(config: TextToSemanticConfig) -> nn.Module:
    """The norm of a model's layers."""
    if config.norm == "layer":
        return nn.LayerNorm(config.dim, config.norm_eps)
    kind = RMSNorm if config.norm == "rms" else RootMeanSquareNorm
    return kind(config.dim, config.norm_eps)


def make_final_norm(config: TextToSemanticConfig) -> nn.Module:
    """The norm behind a stack; layers that norm what leaves them need none."""
    return make_norm(config) if config.norm_order == "pre" else nn.Identity()


class ResidualLayer(nn.Module):
    """Where the norms of a layer's blocks stand: `entering` and `leaving` go around each block."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.dropout, self.post_norm = config.dropout, config.norm_order == "post"

    def entering(self, x: Tensor, norm: nn.Module) -> Tensor:
        """What a block reads of x [B, T, D]."""
        normed: Tensor = x if self.post_norm else norm(x)
        return normed

    def leaving(self, x: Tensor, branch: Tensor, norm: nn.Module) -> Tensor:
        """x [B, T, D] with what a block made of it."""
        x = x + drop(branch, self.dropout, self.training)
        normed: Tensor = norm(x) if self.post_norm else x
        return normed


def make_feed_forward(config: TextToSemanticConfig, out_gain: float) -> nn.Module:
    """The feed-forward of a model's layers."""
    kind = FeedForward if "glu" in config.feed_forward else PlainFeedForward
    activation = ACTIVATIONS[config.feed_forward]
    return kind(config.dim, config.ff_inner, config.dropout, out_gain, config.feed_forward_bias, activation)


class FixedTable(nn.Module):
    """Numbers of every position in `values`, [positions, ...], computed once and never learned.

    Moves with its model from device to device but keeps its precision: in half precision, neighbouring positions far
    from the start would be one. So the table is no buffer, which `Module.to(dtype)` would cast.
    """

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FixedTable:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.values = self.values.to(fn(self.values.real[:0]).device)
        return self


def rotary_table(positions: int, head_dim: int, theta: float) -> Tensor:
    """Unit complex numbers exp(i * position * frequency), complex64 [positions, 1, head_dim / 2]."""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(positions, dtype=torch.float64), frequencies)
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)[:, None]


def rotate(x: Tensor, rotary: Tensor | None) -> Tensor:
    """Rotary positions on interleaved pairs (Su et al. 2021), computed in float32.

    x [B, T, heads, C]; rotary: complex64 [T, 1, C / 2] or [B, T, 1, C / 2], rows of `rotary_table`, or None, which
    leaves x as is.
    """
    if rotary is None:
        return x
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotary).flatten(-2).to(x.dtype)


def sinusoid_table(positions: int, dim: int, step: float) -> Tensor:
    """Sines, then cosines of position * step (Vaswani et al. 2017), float32 [positions, dim].

    The longest wave is 1000 * 2 pi steps: utterances are short, and slower waves would tell their positions nothing.
    """
    frequencies = 1000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = torch.outer(torch.arange(positions, dtype=torch.float64) * step, frequencies)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)[:, :dim].float()
