"""The format Parquet, as the Hugging Face Hub and `datasets` read it: sound and text in one file, and a card."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from spear_accel.storage import files
from spear_accel.synth.packed import SHARD_SIZE, Packed, Record
from spear_accel.synth.sample import Sample

__all__ = ["COLUMNS", "Parquet", "split_of"]

_GROUP = 100
"""Samples of a row group: what a reader takes into memory at once."""
_LIST = {"sequence": "int64"}
_WORDS = [
    {"name": "word", "dtype": "string"},
    {"name": "start", "dtype": "float64"},
    {"name": "end", "dtype": "float64"},
]
COLUMNS: dict[str, Any] = {
    "id": "string", "text": "string", "normalized_text": "string", "duration": "float64", "tokens": _LIST,
    "voice": "string", "voice_hash": "string", "speed": "float64", "seeds": _LIST, "stop_reason": "string",
    "retries": "int64", "utterances": "int64", "coverage": "float64", "log_prob": "float64",
    "warnings": {"sequence": "string"}, "words": {"list": _WORDS},
}  # fmt: skip
"""Fields of records that become columns, and their types in the words of `datasets`."""
_SIZES = (1_000, 10_000, 100_000, 1_000_000)


class Parquet(Packed):
    """`data/SPLIT-NNNNN-of-NNNNN.parquet` with `audio` and the columns `COLUMNS`, and `README.md`, the card."""

    def __init__(self, folder: Path, validation: float = 0.0) -> None:
        """validation: share of the samples that go into a split of their own."""
        super().__init__(folder, "data")
        self._validation = validation

    def contents(self, sample: Sample) -> Iterator[tuple[str, bytes]]:
        assert sample.sound is not None
        yield "wav", sample.sound

    def packed(self) -> Iterator[tuple[str, bytes]]:
        from pyarrow.parquet import ParquetFile

        for path in sorted(self.home.glob("*.parquet")):
            with ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_GROUP, columns=["audio"]):
                    for sound in batch.column("audio").to_pylist():
                        yield sound["path"], sound["bytes"]

    def pack(self, records: Iterable[Record]) -> Iterator[str]:
        counts = Counter(split_of(record["id"], self._validation) for record in records)
        for split, total in sorted(counts.items()):
            own = (record for record in records if split_of(record["id"], self._validation) == split)
            shards = -(-total // SHARD_SIZE)
            for number in range(shards):
                name = f"{split}-{number:05d}-of-{shards:05d}.parquet"
                self._pack(self.home / name, islice(own, SHARD_SIZE))
                yield name
        files.write_text(self.folder / "README.md", card(counts, next(iter(records))))

    def _pack(self, target: Path, records: Iterable[Record]) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        rows = iter(records)
        with files.replacing(target) as temporary, ParquetWriter(temporary, _schema(), compression="zstd") as writer:
            while group := list(islice(rows, _GROUP)):
                table = pyarrow.Table.from_pylist([self._row(record) for record in group], schema=_schema())
                writer.write_table(table)

    def _row(self, record: Record) -> Record:
        part = self.part(record["id"], "wav")
        columns = {name: record.get(name) for name in COLUMNS}
        return {**columns, "audio": {"bytes": part.read_bytes(), "path": part.name}}


def split_of(id: str, validation: float) -> str:
    """ "train" or "validation", by the id alone: no other sample moves one from split to split."""
    place = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") / 2**64
    return "validation" if place < validation else "train"


def card(counts: Counter[str], example: Record) -> str:
    """The dataset card: the head that the Hub and `datasets` read, and a few words for people."""
    import yaml

    total = sum(counts.values())
    features = [
        {"name": "audio", "dtype": "audio"},
        *({"name": name, **_dtype(kind)} for name, kind in COLUMNS.items()),
    ]
    head = {
        "task_categories": ["text-to-speech"],
        "tags": ["synthetic-speech", "spear-accel"],
        "size_categories": [_size(total)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in sorted(counts)],
            }
        ],
        "dataset_info": {
            "features": features,
            "splits": [{"name": split, "num_examples": counts[split]} for split in sorted(counts)],
        },
    }
    splits = ", ".join(f"{counts[split]} in `{split}`" for split in sorted(counts))
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n"
        "# Synthetic speech\n\n"
        f"{total} lines ({splits}), spoken by spear-accel with the voice `{example['voice']}`"
        " (column `voice` names that of each line).\n\n"
        "`text` is what was asked for, `normalized_text` what was read aloud, `tokens` are the semantic tokens, "
        "`warnings` what may be wrong with a line.\n"
    )


def _dtype(kind: Any) -> dict[str, Any]:
    return {"dtype": kind} if isinstance(kind, str) else kind


def _size(total: int) -> str:
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M")
    return next((name for name, bound in zip(names, _SIZES, strict=True) if total < bound), "n>1M")


def _schema() -> Any:
    """The Arrow schema of a file."""
    import pyarrow

    def arrow(kind: Any) -> Any:
        if isinstance(kind, str):
            return {"string": pyarrow.string(), "float64": pyarrow.float64(), "int64": pyarrow.int64()}[kind]
        if "sequence" in kind:
            return pyarrow.list_(arrow(kind["sequence"]))
        return pyarrow.list_(pyarrow.struct([(field["name"], arrow(field["dtype"])) for field in kind["list"]]))

    sound = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    return pyarrow.schema([("audio", sound), *((name, arrow(kind)) for name, kind in COLUMNS.items())])
