"""Formats of Lhotse: cuts beside WAV files, and Shar, where cuts and sound lie in shards. Needs the extra `lhotse`."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spear_accel.storage import files
from spear_accel.synth.packed import SHARD_SIZE, Packed, Record
from spear_accel.synth.sample import Sample
from spear_accel.synth.sounds import Sounds

if TYPE_CHECKING:
    from lhotse import MonoCut

__all__ = ["Cuts", "Shar"]

_NAMED = ("id", "text", "voice", "duration", "audio_filepath", "words")
"""Fields of records that have a place in a cut; all others are `custom`."""


class Cuts(Sounds):
    """`wavs/ID.wav` and `cuts.jsonl.gz`: one cut for each sample, with text and record in its one supervision.

    Paths are relative: `CutSet.from_file(FOLDER/cuts.jsonl.gz).with_recording_path_prefix(FOLDER)`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "wavs")

    def finish(self, records: Iterable[Record]) -> None:
        cuts = (_cut(record, self.folder / record["audio_filepath"], depth=2) for record in records)
        _write_packed(self.folder / "cuts.jsonl.gz", (cut.to_dict() for cut in cuts))


class Shar(Packed):
    """`shar/cuts.NNNNNN.jsonl.gz` and `shar/recording.NNNNNN.tar`: `CutSet.from_shar(in_dir=FOLDER/shar)`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "shar")

    def contents(self, sample: Sample) -> Iterator[tuple[str, bytes]]:
        assert sample.sound is not None
        yield "wav", sample.sound

    def packed(self) -> Iterator[tuple[str, bytes]]:
        for shard in sorted(self.home.glob("*.tar")):
            with tarfile.open(shard) as tar:
                for member in tar:
                    held = tar.extractfile(member)
                    if member.name.endswith(".wav") and held is not None:
                        yield member.name, held.read()

    def pack(self, records: Iterable[Record]) -> Iterator[str]:
        from lhotse.shar import SharWriter

        building = self.folder / f".shar{files.PART}"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        try:
            with SharWriter(building, fields={"recording": "wav"}, shard_size=SHARD_SIZE) as writer:
                for record in records:
                    writer.write(_cut(record, self.part(record["id"], "wav"), depth=1))
            for made in sorted(building.iterdir()):
                if made.suffix == ".gz":
                    with gzip.open(made, "rt", encoding="utf-8") as file:
                        _write_packed(self.home / made.name, map(json.loads, file))
                else:
                    made.replace(self.home / made.name)
                yield made.name
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _cut(record: Record, sound: Path, depth: int) -> MonoCut:
    """A cut of a sound file, its path as deep as `depth`."""
    from lhotse import MonoCut, Recording, SupervisionSegment
    from lhotse.supervision import AlignmentItem

    id = record["id"]
    recording = Recording.from_file(sound, recording_id=id, relative_path_depth=None if depth == 1 else depth)
    words = [
        AlignmentItem(word["word"], word["start"], round(word["end"] - word["start"], 3))
        for word in record.get("words", ())
    ]
    said = SupervisionSegment(
        id, id, 0.0, recording.duration, text=record["text"], speaker=record["voice"],
        custom={key: value for key, value in record.items() if key not in _NAMED},
        alignment={"word": words} if words else None,
    )  # fmt: skip
    return MonoCut(id, 0.0, recording.duration, channel=0, supervisions=[said], recording=recording)


def _write_packed(target: Path, rows: Iterable[dict[str, Any]]) -> None:
    """JSON lines in gzip. Lhotse's own writer would put the file's name and the time of day into the file."""
    with ExitStack() as opened:
        temporary = opened.enter_context(files.replacing(target))
        file = opened.enter_context(temporary.open("wb"))
        packed = opened.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        for row in rows:
            packed.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
