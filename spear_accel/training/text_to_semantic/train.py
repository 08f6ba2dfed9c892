"""Trains the text-to-semantic model the SPEAR-TTS way (Kharitonov et al. 2023).

`pretrain` deletes semantic tokens (p = 0.6) and reconstructs the whole sequence; `supervised` learns text -> tokens
with label smoothing and conditioning dropout. Synthetic-then-real training is two supervised runs, the second with
`init_from` the first. Does not know optimisation or files of checkpoints: those are the loop's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from spear_accel.data.batching import batches_by_length
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.losses import IGNORED, sequence_loss, top1_hits
from spear_accel.training.loop.settings import AtLeastOne, Positive, Settings, Share, read_sections
from spear_accel.training.loop.trainer import Task, load_modules, run
from spear_accel.training.text_to_semantic.attention_guide import AttentionGuide, penalty
from spear_accel.training.text_to_semantic.examples import DenoisingExamples, PairExamples
from spear_accel.training.text_to_semantic.phoneme_ctc import PhonemeCtcTask, PhonemeCtcTraining

__all__ = ["Denoiser", "TextToSemanticTask", "TextToSemanticTraining", "TokenSource", "load_trained", "train"]

WRAPPED = ("denoiser", "phoneme_ctc")
"""Modules that hold the model under `model.`."""


@dataclass(frozen=True)
class TokenSource:
    """A manifest of `id`, `text_ids` (without EOS), `tokens` and, optionally, `weight` and `alignment` a line.

    The alignment says where in its text each token is, and the end of speech: see `ctc_aligner`.
    """

    manifest: str
    weight: float = 1.0
    """How often an epoch takes each line, on average; a line's own `weight` multiplies it."""


@dataclass(frozen=True)
class TextToSemanticTraining:
    """The `data` section: what is learned from which data."""

    sources: tuple[TokenSource, ...]
    validation: str
    """Manifest that training never sees."""
    phase: Literal["pretrain", "supervised"] = "supervised"
    init_from: str | None = None
    """Output folder of an earlier run whose weights this one starts from."""
    batch_tokens: AtLeastOne = 6000
    """Padded semantic tokens in a batch."""
    longest_tokens: AtLeastOne = 1500
    """Longer utterances are left out."""
    label_smoothing: Share = 0.1
    cond_dropout: Share = 0.1
    """Share of utterances whose text is hidden, so that the null key and value learn to stand for any text."""
    delete: Share = 0.6
    """Share of the tokens that `pretrain` deletes from the encoder's input."""
    input_noise: Share = 0.0
    """Share of the decoder's input tokens that training replaces by random ones: a model that cannot trust what it
    said reads its text more, and forgives itself its own slips later."""
    guided_layers: tuple[int, ...] = ()
    """Decoder layers, from 0, whose cross-attention is pulled towards the alignment of the manifest or, where it has
    none, towards the diagonal."""
    guide_weight: float = 1.0
    """Factor on that penalty."""
    guide_width: Positive = 2.0
    """Standard deviation of the free band around the alignment, in text ids."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise UserError("sources is empty; name at least one manifest")


class Denoiser(nn.Module):
    """The model as `pretrain` uses it: corrupted tokens in, the whole sequence out; text embeddings rest."""

    def __init__(self, model: TextToSemantic) -> None:
        super().__init__()
        self.model = model
        model.text_embedding.requires_grad_(False)

    def forward(self, corrupted: Tensor, semantic: Tensor, cond_drop: Tensor | None) -> Tensor:
        """corrupted [B, X], semantic [B, T], both padded with `semantic_pad_id` -> logits [B, T + 1, V]."""
        return self.model.reconstruct(self.model.encode_semantic(corrupted), semantic, cond_drop)


class TextToSemanticTask:
    """The `Task` of `spear_accel.training.loop` for both phases."""

    def __init__(self, config: TextToSemanticTraining, model: TextToSemantic) -> None:
        self.config, self.shape = config, model.config
        self.pretrain = config.phase == "pretrain"
        self.name = "denoiser" if self.pretrain else "text_to_semantic"
        self.modules: dict[str, nn.Module] = {self.name: Denoiser(model) if self.pretrain else model}
        self._guide = AttentionGuide(model, config.guided_layers) if config.guided_layers else None
        self._training = self._examples([(s.manifest, s.weight) for s in config.sources])
        self._validation = self._examples([(config.validation, 1.0)])

    def dataset(self) -> Sequence[Any]:
        return self._training

    def epoch(self, number: int, seed: int) -> list[list[int]]:
        return self._training.epoch(self.config.batch_tokens, number, seed)

    def collate(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """source [B, X], semantic [B, T], targets [B, T + 1] with EOS, `IGNORED` at padding; centres, width."""
        end = torch.tensor([self.shape.eos_id])
        pad = self.shape.semantic_pad_id
        tokens = [example["tokens"] for example in examples]
        source_pad = pad if self.pretrain else self.shape.text_pad_id
        return {
            "source": pad_sequence([e["source"] for e in examples], batch_first=True, padding_value=source_pad),
            "semantic": pad_sequence(tokens, batch_first=True, padding_value=pad),
            "targets": pad_sequence([torch.cat((t, end)) for t in tokens], batch_first=True, padding_value=IGNORED),
            "centres": pad_sequence([e["centres"] for e in examples], batch_first=True),
            "width": torch.stack([e["width"] for e in examples]),
        }

    def losses(
        self, modules: dict[str, nn.Module], batch: dict[str, Tensor]
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        source = batch["source"]
        dropping = self.shape.null_kv and self.config.cond_dropout > 0.0
        cond_drop = torch.rand(len(source), device=source.device) < self.config.cond_dropout if dropping else None
        with self._guide or nullcontext():
            logits = modules[self.name](source, self._noisy(batch["semantic"]), cond_drop)
        loss = sequence_loss(logits, batch["targets"], self.config.label_smoothing)
        metrics = {"loss": float(loss.detach())}
        if self._guide is not None:
            reading = _all_or(cond_drop, len(source), source.device)[:, None] & (batch["targets"] != IGNORED)
            inside = self._guide.inside(batch["centres"], batch["width"], reading)
            loss = loss + self.config.guide_weight * penalty(inside)
            metrics["attention_inside"] = float(inside.detach().mean())
        yield self.name, loss, metrics

    def validate(self, modules: dict[str, nn.Module]) -> dict[str, float]:
        """Nats per token (EOS counted) and top-1 accuracy, teacher forced, without smoothing."""
        module = modules[self.name]
        device = next(module.parameters()).device
        total = 0.0
        hits = counted = 0
        for indices in batches_by_length(self._validation.lengths, self.config.batch_tokens, number=0, seed=0):
            batch = {k: v.to(device) for k, v in self.collate([self._validation[i] for i in indices]).items()}
            logits = module(batch["source"], batch["semantic"], None)
            total += float(sequence_loss(logits, batch["targets"], reduction="sum"))
            right, number = top1_hits(logits, batch["targets"])
            hits, counted = hits + right, counted + number
        return {"loss": total / counted, "accuracy": hits / counted}

    def _noisy(self, semantic: Tensor) -> Tensor:
        """[B, T] with a share of the units replaced; pads stay."""
        if self.config.input_noise == 0.0:
            return semantic
        replaced = torch.rand(semantic.shape, device=semantic.device) < self.config.input_noise
        units = torch.randint_like(semantic, self.shape.semantic_units)
        return torch.where(replaced & (semantic != self.shape.semantic_pad_id), units, semantic)

    def _examples(self, manifests: Sequence[tuple[str, float]]) -> DenoisingExamples | PairExamples:
        needed = ("id", "tokens") if self.pretrain else ("id", "tokens", "text_ids")
        records = [
            {**record, "weight": weight * float(record.get("weight", 1.0))}
            for path, weight in manifests
            for record in read_manifest(path, needed)
            if 0 < len(record["tokens"]) <= self.config.longest_tokens
        ]
        if not records:
            raise UserError(f"no utterance of 1 to {self.config.longest_tokens} tokens in {manifests[0][0]}")
        if self.pretrain:
            return DenoisingExamples(records, self.shape, self.config.delete)
        return PairExamples(records, self.shape, self.config.guide_width)


def _all_or(dropped: Tensor | None, rows: int, device: torch.device) -> Tensor:
    """bool [rows]: the rows whose text is visible."""
    return torch.ones(rows, dtype=torch.bool, device=device) if dropped is None else ~dropped


def load_trained(folder: Path | str) -> TextToSemantic:
    """The model of a training folder: its config.json and newest weights, of either phase.

    Raises:
        UserError: The folder holds no checkpoint, or one of another task.
    """
    folder = Path(folder)
    states = load_modules(folder)
    model = TextToSemantic(TextToSemanticConfig.load(folder / "config.json"))
    if "text_to_semantic" in states:
        model.load_state_dict(states["text_to_semantic"])
    elif wrapped := [name for name in WRAPPED if name in states]:
        own = states[wrapped[0]].items()
        model.load_state_dict({key.removeprefix("model."): value for key, value in own if key.startswith("model.")})
    else:
        raise UserError(f"{folder} holds {', '.join(states)}, no text-to-semantic model")
    return model


def initial_model(shape: TextToSemanticConfig, init_from: str | None) -> TextToSemantic:
    """A fresh model, or the weights of an earlier run.

    Raises:
        UserError: The earlier run's model has another shape; every differing field is named.
    """
    if init_from is None:
        return TextToSemantic(shape)
    model = load_trained(init_from)
    old, new = model.config.to_dict(), shape.to_dict()
    differing = [f"{key} {old[key]} -> {new[key]}" for key in new if old[key] != new[key] and key != "dropout"]
    if differing:
        raise UserError(f"init_from {init_from}: the model section differs: {', '.join(differing)}")
    fresh = TextToSemantic(shape)
    fresh.load_state_dict(model.state_dict())
    return fresh


def train(settings: Settings) -> dict[str, float]:
    """Trains from settings with the sections `data`, `model` and `loop` and an `output` folder.

    Returns:
        The metrics of the last validation. The output folder holds the loop's files and the model's config.json.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    given = read_sections(settings, ("data", "model"))
    shape, loop = given.build(TextToSemanticConfig, "model"), given.build(LoopConfig, "loop")
    data: PhonemeCtcTraining | TextToSemanticTraining
    if isinstance(given.values["data"], Mapping) and given.values["data"].get("phase") == "pronounce":
        data = given.build(PhonemeCtcTraining, "data")
    else:
        data = given.build(TextToSemanticTraining, "data")
    torch.manual_seed(loop.seed)
    model = initial_model(shape, data.init_from)
    task: Task = (
        PhonemeCtcTask(data, model) if isinstance(data, PhonemeCtcTraining) else TextToSemanticTask(data, model)
    )
    return run(task, loop, given.output, shape.to_dict(), given.values)
