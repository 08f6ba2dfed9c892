"""From recordings and texts to manifests that training reads: semantic tokens, and the text ids that belong to them.

Knows recordings, tokenizers and JSON lines. Does not know what is trained.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spear_accel.audio.encoder import SAMPLE_RATE
from spear_accel.audio.files import read_audio, resample
from spear_accel.audio.tokenizer import SpeechTokenizer
from spear_accel.data.journal import Journal
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.text import FrontEnd, normalise
from spear_accel.text.front_end import verbatim
from spear_accel.text.tokenizer import TextTokenizer, TokenizerConfig
from spear_accel.text.tokenizers import AnyTokenizer

__all__ = [
    "AS_RECORDED", "Feedback", "TextReader", "Variant", "pair_manifest", "phoneme_manifest",
    "tokenize_manifest", "tokenize_recording", "train_text_tokenizer",
]  # fmt: skip

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """A recording as it is played to the tokenizer. The tokens differ, the words do not: more to learn from."""

    speed: float = 1.0
    """Factor on the tempo (and the pitch)."""
    later: float = 0.0
    """Seconds that are cut off the beginning."""


AS_RECORDED = Variant()


@dataclass(frozen=True)
class Feedback:
    """Whom a long job talks to."""

    report: Callable[[str], None] = print
    """Is told in one line of every recording that is left out, and why."""
    progress: Callable[[Sequence[Record]], Iterable[Record]] = iter
    """Wraps the recordings that are to be tokenized, for a progress bar."""


@dataclass(frozen=True)
class TextReader:
    """How a text becomes ids: a front end says how it is read aloud, a tokenizer makes ids of that."""

    tokenizer: AnyTokenizer
    front_end: FrontEnd = normalise
    """That of the voice's language (`front_end_for`); raw tokenizers take a text as it is written."""

    def ids(self, text: str) -> list[int]:
        """Ids without EOS.

        Raises:
            UserError: Nothing in the text can be read aloud, or a word of it is no id.
        """
        read = verbatim if self.tokenizer.verbatim else self.front_end
        ids = self.tokenizer.encode(read(text).text)
        if not ids:
            raise UserError(f"nothing can be read aloud in {text.strip()[:60]!r}")
        return ids


def tokenize_recording(
    tokenizer: SpeechTokenizer, path: Path | str, identity: str, variant: Variant = AS_RECORDED
) -> dict[str, Any]:
    """The record of one recording: `id`, `audio_filepath`, `duration` in seconds, `frame_rate` and `tokens`.

    Raises:
        UserError: The file is no recording, or holds no samples.
    """
    waveform = read_audio(path, SAMPLE_RATE)
    if variant != AS_RECORDED:
        waveform = resample(waveform, round(1000 * variant.speed), 1000)[round(variant.later * SAMPLE_RATE) :]
    if not len(waveform):
        raise UserError(f"{path}: shorter than the {variant.later} s that are cut off")
    return {
        "id": identity,
        "audio_filepath": str(path),
        "duration": round(len(waveform) / SAMPLE_RATE, 3),
        "frame_rate": tokenizer.config.frame_rate,
        "tokens": tokenizer.tokenize([waveform])[0].tolist(),
    }


def tokenize_manifest(
    tokenizer: SpeechTokenizer,
    records: Sequence[Record],
    target: Path,
    *,
    variant: Variant = AS_RECORDED,
    reader: TextReader | None = None,
    feedback: Feedback = Feedback(),
) -> int:
    """Tokenize recordings and write their records with `text` and, given a reader, `text_ids`.

    The target appears when it is complete. Until then tokens are kept in `TARGET.progress`: after a kill the same call
    goes on behind the last recording.

    Args:
        tokenizer: Makes the tokens.
        records: `id`, `audio` and `text` of each recording; ids are unique.
        target: The JSONL file.
        variant: How the recordings are played.
        reader: Makes the text ids, which text-to-semantic training needs.
        feedback: Is told of every recording that is left out.

    Returns:
        Number of records left out.

    Raises:
        UserError: No record could be used, or the disk is full.
    """
    files.make_folder(target.parent, "write elsewhere")
    job = {"tokenizer": _fingerprint(tokenizer), **asdict(variant)}
    journal = Journal(target.with_name(f"{target.name}.progress"), job)
    texts = {record["id"]: record["text"] for record in records}
    held = {found["id"]: found["audio_filepath"] for found in journal.read(texts)}
    faults = _Faults(feedback.report)
    pending = [record for record in records if held.get(record["id"]) != str(record["audio"])]
    failed = set()
    for record in feedback.progress(pending):
        try:
            journal.add(tokenize_recording(tokenizer, record["audio"], record["id"], variant))
        except UserError as error:
            faults.add(str(error))
            failed.add(record["id"])
    finished = journal.read(identity for identity in texts if identity not in failed)
    if not write_manifest(target, _with_texts(finished, texts, reader, faults)):
        target.unlink()
        raise UserError(f"none of the {len(records)} recordings could be used; {faults.first or 'add some'}")
    journal.delete()
    return faults.count


def train_text_tokenizer(
    manifests: Iterable[Path], target: Path, config: TokenizerConfig, front_end: FrontEnd = normalise
) -> TextTokenizer:
    """Train a SentencePiece tokenizer on the `text` of manifests, as it is read aloud, and write it to `target`."""
    texts = (record["text"] for path in manifests for record in read_manifest(path, ("text",)))
    tokenizer = TextTokenizer.train((front_end(text).text for text in texts), config)
    tokenizer.save(target)
    return tokenizer


def pair_manifest(reader: TextReader, source: Path, target: Path, report: Callable[[str], None] = print) -> int:
    """Write `id`, `text_ids` and `tokens` of the records of a manifest with `id`, `text` and `tokens`.

    Returns:
        Number of records left out, because nothing in their text can be read aloud; `report` is told of each.
    """
    faults = _Faults(report)
    records = read_manifest(source, ("id", "text", "tokens"))
    pairs = _with_texts(records, {record["id"]: record["text"] for record in records}, reader, faults)
    write_manifest(target, ({key: pair[key] for key in ("id", "text_ids", "tokens")} for pair in pairs))
    return faults.count


def phoneme_manifest(reader: TextReader, sources: Iterable[Path], target: Path) -> int:
    """Write `id`, `text_ids` and `phonemes` of manifests with `id`, `text` and `phonemes`; returns their number."""
    return write_manifest(
        target,
        (
            {"id": record["id"], "text_ids": reader.ids(record["text"]), "phonemes": record["phonemes"]}
            for source in sources
            for record in read_manifest(source, ("id", "text", "phonemes"))
        ),
    )


class _Faults:
    """Reports faults and counts them."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report, self.count, self.first = report, 0, ""

    def add(self, fault: str) -> None:
        self.first = self.first or fault
        self.count += 1
        self._report(fault)


def _with_texts(
    records: Iterable[Record], texts: Mapping[str, str], reader: TextReader | None, faults: _Faults
) -> Iterator[dict[str, Any]]:
    """Records with their text and, given a reader, their text ids; without those that cannot be read aloud."""
    for record in records:
        text = texts[record["id"]]
        try:
            yield {**record, "text": text} | ({} if reader is None else {"text_ids": reader.ids(text)})
        except UserError as error:
            faults.add(f"{record['id']}: {error}")


def _fingerprint(tokenizer: SpeechTokenizer) -> str:
    """Of the tokens that a tokenizer makes: its settings and its codebook, which was fitted to its encoder."""
    digest = hashlib.sha256(json.dumps(asdict(tokenizer.config), sort_keys=True).encode())
    for tensor in tokenizer.quantiser.tensors().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
