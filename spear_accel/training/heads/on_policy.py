"""On-policy data: a model's own utterances as a manifest, which draft heads learn from by self-distillation.

Sampled with the decoding engine, chunk by chunk, so that a killed run goes on where it stopped. Knows texts as ids;
does not know what the samples are for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from spear_accel.storage import files
from spear_accel.storage.identity import claim
from spear_accel.storage.json_lines import append_records, recovered_records
from spear_accel.training.loop.settings import AtLeastOne, Strings

__all__ = ["OnPolicySettings", "on_policy_records"]

_CHUNK_BATCHES = 4
"""Batches in a chunk: a kill loses one chunk, and only the end of a chunk leaves rows empty."""


@dataclass(frozen=True)
class OnPolicySettings:
    """How much of which texts a model speaks."""

    folder: str
    """Where the manifests are kept and found again."""
    texts: Strings = ()
    """Manifests of `text_ids` (without EOS) a line; if empty, the training data's own."""
    count: AtLeastOne = 2000
    """Utterances. More than there are different texts speaks texts again, with the next seed."""
    temperature: float = 0.7
    seed: int = 0
    batch_size: int = 64
    longest_tokens: int = 1500
    """Longer utterances are cut off."""

    def __post_init__(self) -> None:
        # Decoding checks its options; here, before a model is loaded.
        self.options()

    def options(self) -> DecodeOptions:
        """Options of the decoding engine that draws the samples."""
        return DecodeOptions(
            method="autoregressive", temperature=self.temperature, seed=self.seed, batch_size=self.batch_size,
            max_tokens=self.longest_tokens,
        )  # fmt: skip


def on_policy_records(
    model: TextToSemantic, texts: Sequence[Sequence[int]], settings: OnPolicySettings, path: Path, count: int
) -> list[dict[str, Any]]:
    """`count` utterances of the model, from the manifest at `path` or, where that holds fewer, spoken and added to it.

    Line n says the n-th of the different texts, again and again, with `settings.seed` and the number of the turn as
    seed; it depends on its text and seed alone. A record holds `id`, `text_ids`, `tokens`, `stop_reason` and
    the `seed` that was used, which differs where a loop was decoded again.

    Raises:
        UserError: There are no texts, the manifest was made by another model or with other settings, or the disk is
            full.
    """
    different = list(dict.fromkeys(tuple(int(token) for token in text) for text in texts))
    if not different:
        raise UserError(f"{path}: no texts to speak; name manifests with text_ids in data.samples.texts")
    files.make_folder(path.parent, "choose another samples folder")
    identity = path.with_suffix(".json")
    advice = f"delete {path} with {identity.name} or choose another samples folder"
    claim(identity, _header(model, different, settings), path, advice)
    records = [record for _, record in recovered_records(path)]
    engine = Engine(model, settings.options())
    chunk = _CHUNK_BATCHES * settings.batch_size
    with tqdm(total=count, initial=min(count, len(records)), desc=path.stem, mininterval=2.0, disable=None) as bar:
        while len(records) < count:
            numbers = range(len(records), min(count, len(records) + chunk))
            new = _speak(engine, different, numbers, settings.seed)
            append_records(path, new)
            records += new
            bar.update(len(new))
    return records[:count]


def _speak(engine: Engine, texts: Sequence[Sequence[int]], numbers: range, seed: int) -> list[dict[str, Any]]:
    chosen = [texts[number % len(texts)] for number in numbers]
    result = engine.decode(chosen, seeds=[seed + number // len(texts) for number in numbers])
    rows = zip(numbers, chosen, result.tokens, result.stop_reasons, result.seeds, strict=True)
    return [
        {"id": str(number), "text_ids": list(text), "tokens": tokens.tolist(), "stop_reason": reason, "seed": used}
        for number, text, tokens, reason, used in rows
    ]


def _header(model: TextToSemantic, texts: Sequence[Sequence[int]], settings: OnPolicySettings) -> dict[str, Any]:
    """All that a line depends on; the number of lines and of rows at once is not among it."""
    return {
        "model": _fingerprint(model),
        "texts": hashlib.sha256(json.dumps(texts).encode()).hexdigest(),
        "temperature": settings.temperature,
        "seed": settings.seed,
        "longest_tokens": settings.longest_tokens,
    }


def _fingerprint(model: TextToSemantic) -> str:
    digest = hashlib.sha256(json.dumps(model.config.to_dict()).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()
