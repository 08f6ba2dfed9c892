"""What a job is asked for. Knows no line and no folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from spear_accel.audio.treatment import Treatment
from spear_accel.checks import settle, whole
from spear_accel.decoding import DecodeOptions
from spear_accel.errors import UserError
from spear_accel.synth.executor import ENGINES
from spear_accel.synth.line_scheduler import LineOptions
from spear_accel.text.respelling import Respellings
from spear_accel.voice.defaults import decoding_defaults

__all__ = ["SynthOptions"]


_COUNTS = ("batch_size", "workers", "candidates")


@dataclass(frozen=True)
class SynthOptions:
    """How a dataset is made. The batch size, and the fields below it, change no byte of it."""

    voice: str = "kathleen"
    """Of lines that name none."""
    format: str = "ljspeech"
    tokens_only: bool = False
    validation: float = 0.0
    """Share of the lines that format "parquet" puts into a split of their own."""
    decode: DecodeOptions | None = None
    """None: the defaults of each line's voice."""
    retries: int = 2
    """How often an utterance is decoded again, with another seed, while a guard finds fault with it."""
    candidates: int = 1
    """Attempts at each utterance, of which the best is kept."""
    coverage: bool = True
    """Whether words that are skipped or said twice count as a fault (docs/coverage.md)."""
    words: bool = False
    """Whether records tell when each word is said."""
    treatment: Treatment = field(default_factory=Treatment)
    """Sample rate and loudness of the sound."""
    respellings: Respellings | None = None
    """Words that are read as if they were spelt otherwise."""
    device: str = "cpu"
    dtype: str = "auto"
    """Precision of the text-to-semantic models, as for `Voice.load`; a run keeps the one that it began with."""
    batch_size: int = 16
    workers: int = 1
    """Processes, or actors of engine "ray", each with voices and one thread of its own."""
    engine: str = "local"
    shard: tuple[int, int] = (1, 1)
    """Which, from 1, of how many."""
    retry_failed: bool = False

    def __post_init__(self) -> None:
        number, shards = (whole("--shard", part) for part in self.shard)
        if not 1 <= number <= shards:
            raise UserError(f"--shard {number}/{shards}: give I/N with I from 1 to N")
        settle(
            self,
            shard=(number, shards),
            retries=whole("--retries", self.retries, 0),
            **{name: whole(f"--{name.replace('_', '-')}", getattr(self, name), 1) for name in _COUNTS},
        )
        if not 0.0 <= self.validation < 1.0:
            raise UserError(f"--validation {self.validation}: must be a share from 0 to below 1")
        if self.validation and self.format != "parquet":
            raise UserError(f"--validation: --format {self.format} has no splits; leave it out, or choose parquet")
        if self.words and self.tokens_only:
            raise UserError("--words: without sound words have no times; leave --words or --tokens-only out")
        if self.tokens_only and self.treatment != Treatment():
            raise UserError("--sample-rate, --loudness: there is no sound; leave them or --tokens-only out")
        if self.engine not in ENGINES:
            raise UserError(f"--engine {self.engine}: unknown; choose {' or '.join(ENGINES)}")

    def lines_of(self, voice: str) -> LineOptions:
        """How lines of a voice are decoded."""
        decode = replace(self.decode or decoding_defaults(voice), batch_size=self.batch_size)
        return LineOptions(decode, self.retries, self.candidates, self.coverage)

    def holds(self, line: int) -> bool:
        """Whether the line of this number belongs to the shard."""
        number, shards = self.shard
        return line % shards == number % shards
