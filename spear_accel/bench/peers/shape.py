"""What peers are asked to build, and who they are.

Weights are random: how long a product takes does not depend on its numbers, and peers have no null keys, no rotary
pairs and no paced positions to load ours into. Lengths are fixed, so what is drawn does not matter either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from spear_accel.errors import UserError
from spear_accel.model import TextToSemanticConfig

__all__ = ["PEERS", "Peer", "Shape", "build", "check"]


class Peer(Protocol):
    """Decodes with the model that it was built with."""

    def __call__(self, texts: Sequence[Sequence[int]], count: int, temperature: float) -> None:
        """Sample `count` tokens for each text at once; temperature 0 takes the most likely."""


@dataclass(frozen=True)
class Shape:
    """An encoder-decoder."""

    text_ids: int
    vocab: int
    dim: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    inner: int
    gated: bool
    rms: bool

    @classmethod
    def of(cls, config: TextToSemanticConfig) -> Shape:
        return cls(
            config.letters, config.vocab, config.dim, config.heads, config.encoder_layers, config.decoder_layers,
            config.ff_inner, config.feed_forward == "geglu", config.norm == "rms",
        )  # fmt: skip


PEERS = {
    "ctranslate2": "pip install ctranslate2",
    "transformers": "pip install transformers",
}
"""Names, and what to do where the package is not there."""


def check(names: Sequence[str]) -> None:
    """Before minutes of measuring: are all of these peers there?

    Raises:
        UserError: There is no such peer, or its package is not installed.
    """
    for name in names:
        if name not in PEERS:
            raise UserError(f"no peer {name!r}; choose one of {', '.join(PEERS)}")
        if find_spec(name) is None:
            raise UserError(f"peer {name} is not installed; {PEERS[name]}")


def build(name: str, shape: Shape, threads: int, precision: str) -> Peer:
    """A peer by its name. Raises UserError as `check`."""
    check([name])
    make: Callable[[Shape, int, str], Peer] = import_module(f"spear_accel.bench.peers.{name}_peer").make
    return make(shape, threads, precision)
