"""Where in its text each semantic token is: a small CTC network reads the tokens, and its best path dates the letters.

Text-to-semantic training uses the alignment to show the decoder where to read (`attention_guide`): a pre-aligned guide
(Zhu et al. 2019, ASRU, "Pre-alignment guided attention") instead of the plain diagonal. Needs the pairs of text and
tokens alone: no audio, no lexicon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from spear_accel.acoustic.convnext import ConvNeXtStack, frame_mask
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.settings import AtLeastOne, Settings, Share, Strings, read_sections
from spear_accel.training.loop.trainer import load_modules, run
from spear_accel.training.text_to_semantic.ctc import CtcOptions, CtcTask

__all__ = ["CtcAligner", "CtcAlignerConfig", "CtcAlignerData", "align", "best_times", "load_trained", "train"]

PAD = -1
NAME = "ctc_aligner"


@dataclass(frozen=True)
class CtcAlignerConfig:
    """Shape of a `CtcAligner`."""

    semantic_units: AtLeastOne
    text_vocab_size: AtLeastOne
    width: AtLeastOne = 256
    hidden: AtLeastOne = 768
    blocks: AtLeastOne = 5
    kernel: AtLeastOne = 9
    dropout: Share = 0.1
    frames: AtLeastOne = 1
    """Frames that each token is read as. CTC writes at most one symbol a frame, and a blank between two that are equal:
    at 25 tokens a second phonemes with stress marks and spaces need two."""


@dataclass(frozen=True)
class CtcAlignerData:
    """Manifests of `id`, `text_ids` and `tokens` a line. Text id 0 must be a pad: CTC takes it as its blank."""

    manifests: Strings
    validation: str
    batch_tokens: AtLeastOne = 8000
    """Padded semantic tokens in a batch."""


class CtcAligner(nn.Module):
    """Semantic tokens -> text ids, by convolutions over about half a second to each side."""

    def __init__(self, config: CtcAlignerConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.semantic_units, config.width)
        self.stack = ConvNeXtStack(config.width, config.hidden, config.blocks, config.kernel, config.dropout)
        self.frames = config.frames
        self.head = nn.Linear(config.width, config.frames * config.text_vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] padded with -1 -> logits [B, T * frames, text_vocab_size]."""
        lengths = (tokens != PAD).sum(dim=1)
        mask = frame_mask(lengths, tokens.shape[1])
        logits: Tensor = self.head(self.stack(self.embedding(tokens.clamp_min(0)) * mask, mask))
        return rearrange(logits, "b t (f v) -> b (t f) v", f=self.frames)


def train(settings: Settings) -> dict[str, float]:
    """Trains a `CtcAligner` from settings with the sections `data`, `model` and `loop` and an `output` folder.

    Returns:
        Metrics of the last validation: `loss` and `letter_error_rate`.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    given = read_sections(settings, ("data", "model"))
    data, loop = given.build(CtcAlignerData, "data"), given.build(LoopConfig, "loop")
    torch.manual_seed(loop.seed)
    model = given.build(CtcAlignerConfig, "model")
    aligner = CtcAligner(model)
    pairs = [pair for path in data.manifests for pair in _pairs(path)]
    options = CtcOptions(NAME, PAD, data.batch_tokens, "letter_error_rate", model.frames)
    return run(CtcTask(aligner, options, pairs, _pairs(data.validation)), loop, given.output, arguments=given.values)


def load_trained(settings: Settings) -> CtcAligner:
    """The trained aligner of a settings file, in evaluation mode.

    Raises:
        UserError: A setting is missing or wrong, or nothing is trained yet.
    """
    given = read_sections(settings, ("data", "model"))
    aligner = CtcAligner(given.build(CtcAlignerConfig, "model"))
    aligner.load_state_dict(load_modules(given.output)[NAME])
    return aligner.eval()


@torch.inference_mode()
def align(aligner: CtcAligner, records: Sequence[dict[str, Any]]) -> list[list[float]]:
    """Where in its text each token of each record is, T + 1 numbers a record: the last is for the end of speech.

    A number counts text ids from 0 and lies between two of them while one sound passes into the next. One call holds
    one batch: give records of like length.
    """
    tokens = nn.utils.rnn.pad_sequence(
        [torch.tensor(record["tokens"]) for record in records], batch_first=True, padding_value=PAD
    )
    scores = aligner(tokens).log_softmax(-1).numpy()
    aligned = []
    for record, row in zip(records, scores, strict=True):
        count = len(record["tokens"])
        times = best_times(row[: count * aligner.frames], record["text_ids"])
        ends = np.array([*times, max(count * aligner.frames, times[-1] + 1)]) / aligner.frames
        read = np.interp(np.arange(count + 1), ends, np.arange(len(ends)))
        aligned.append([round(float(position), 1) for position in read])
    return aligned


def best_times(scores: np.ndarray, symbols: Sequence[int]) -> list[int]:
    """The frame of each symbol on CTC's best path (Viterbi) through log scores [T, classes], blank 0.

    Where a symbol holds several frames, the one with its highest score counts. Text that does not fit into T frames
    is spread evenly.
    """
    states = np.zeros(2 * len(symbols) + 1, dtype=np.int64)
    states[1::2] = symbols
    emitted = scores[:, states]
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[:2] = emitted[0, :2]
    back = np.zeros(emitted.shape, dtype=np.int64)
    for time in range(1, len(emitted)):
        options = np.full((3, len(states)), -np.inf)
        options[0] = best
        options[1, 1:] = best[:-1]
        options[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        back[time] = options.argmax(axis=0)
        best = options.max(axis=0) + emitted[time]
    if not np.isfinite(best[-2:]).any():
        return [round(time) for time in np.linspace(0, len(scores) - 1, len(symbols)).tolist()]
    return _peaks(back, emitted, len(states) - 2 + int(best[-1] > best[-2]))


def _peaks(back: np.ndarray, emitted: np.ndarray, state: int) -> list[int]:
    """Follow the path back from its last `state`; the strongest frame of every symbol."""
    peaks: dict[int, int] = {}
    for time in range(len(back) - 1, -1, -1):
        if state % 2 and (state not in peaks or emitted[time, state] > emitted[peaks[state], state]):
            peaks[state] = time
        state -= int(back[time, state])
    return [peaks[state] for state in sorted(peaks)]


def _pairs(path: str) -> list[tuple[Tensor, Tensor]]:
    records = read_manifest(path, ("id", "text_ids", "tokens"))
    return [(torch.tensor(r["tokens"]), torch.tensor(r["text_ids"])) for r in records if r["tokens"]]
