"""A corpus of any size from a teacher: sentences, spoken by a program or package, checked, ready for training.

    python recipes/kathleen/teacher.py --teacher hibari --sentences FILE --everyday 5000 --out OUT [--check moonshine]

OUT gets ``audio/ID.flac``, ``spoken.jsonl`` (one line for each finished sentence), ``faults.jsonl`` (sentences that the
teacher did not say, with the reason), ``heard.jsonl`` (what the recogniser heard) and ``manifest.jsonl`` (``id``,
``audio``, ``text``, ``phonemes``, ``voice``, ``speed``, ``seconds``): the sentences without a fault. It can be stopped
at any time; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import everyday
import numpy as np
import recognisers
import soundfile
from json_log import JsonLog
from listening import listen
from teachers import TEACHERS, Teacher
from tqdm import tqdm
from words import word_errors

from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest, write_manifest

__all__ = [
    "TeacherSettings", "check_corpus", "fault_of", "kept_back", "options", "run", "sounds", "speak_corpus",
    "write_accepted", "write_training",
]  # fmt: skip

KEPT_BACK = 200
HELD_OUT = 80
"""Spoken sentences that training does not see."""
_STRESS = frozenset("ˈˌː")
_SILENCE = 10 ** (-50 / 20)
_FASTEST, _SLOWEST = 0.025, 0.3
"""Seconds a letter below and above which a sentence was not said whole, or the teacher babbled."""
_LEEWAY = 1.5
"""Seconds of silence that any sentence may have around it."""
_PATIENCE = 10
"""A teacher that fails so many sentences in a row from the start is taken to be broken."""


@dataclass(frozen=True)
class TeacherSettings:
    """Who speaks, and how fast."""

    voices: tuple[str, ...] = ("default",)
    """Each sentence is read by one of them, drawn by the sentence."""
    speed: tuple[float, float] = (0.8, 1.1)
    """Tempo is drawn between these; 1 is the teacher's own."""


def main() -> None:
    arguments = _parser().parse_args()
    try:
        count = run(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"{count} sentences in {arguments.out / 'manifest.jsonl'}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", choices=TEACHERS, required=True)
    parser.add_argument("--command", help="of the teacher 'command', with {text}, {file} and, if it likes, {voice}")
    parser.add_argument("--voice-packs", type=Path, help="of the teacher 'kokoro': folder with NAME.bin")
    parser.add_argument("--voices", nargs="+", default=["default"], help="names of the teacher's voices")
    parser.add_argument("--speed", type=float, nargs=2, default=(0.8, 1.1), metavar=("LEAST", "MOST"))
    parser.add_argument("--sentences", type=Path, help="text, a sentence a line; some are kept back for evaluation")
    parser.add_argument("--everyday", type=int, default=0, help="so many everyday sentences are made and spoken too")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--check", choices=recognisers.RECOGNISERS, help="have a recogniser hear what was spoken")
    parser.add_argument("--model", help="model of that recogniser: a folder or a name")
    parser.add_argument("--share", type=float, default=1.0, help="share of the sentences that the recogniser hears")
    parser.add_argument("--most-errors", type=float, default=0.2, help="word error rate above which one is left out")
    return parser


def options(teacher: str, out: Path, **changes: Any) -> argparse.Namespace:
    """What `run` takes, with the defaults of the command line.

    Raises:
        UserError: There is no such option.
    """
    usual = _parser().parse_args(["--teacher", teacher, "--out", str(out)])
    if unknown := sorted(set(changes) - set(vars(usual))):
        raise UserError(f"teacher: unknown setting {', '.join(unknown)}; there are {', '.join(sorted(vars(usual)))}")
    return argparse.Namespace(**{**vars(usual), **changes})


def run(arguments: argparse.Namespace) -> int:
    """Speak, check, and write the manifest; returns how many sentences it holds."""
    lines = everyday.sentences(arguments.everyday, seed=0)
    if arguments.sentences:
        given = [line.strip() for line in arguments.sentences.read_text(encoding="utf-8").splitlines()]
        known = set(kept_back(given))
        lines += [line for line in given if line and line not in known]
    # Before hours of speaking: is everything there?
    teacher = _teacher(arguments)
    recogniser = recognisers.load(arguments.check, arguments.model) if arguments.check else None
    settings = TeacherSettings(tuple(arguments.voices), tuple(arguments.speed))
    speak_corpus(lines, teacher, settings, arguments.out)
    if recogniser is not None:
        check_corpus(arguments.out, recogniser, arguments.share)
    return write_accepted(arguments.out, arguments.most_errors)


def _teacher(arguments: argparse.Namespace) -> Teacher:
    needs = {"kokoro": "voice_packs", "command": "command"}
    if arguments.teacher not in needs:
        return TEACHERS[arguments.teacher]()
    option = needs[arguments.teacher]
    if (value := getattr(arguments, option)) is None:
        raise UserError(f"--teacher {arguments.teacher} needs --{option.replace('_', '-')}")
    return TEACHERS[arguments.teacher](value)


def kept_back(lines: Sequence[str], seed: int = 17) -> list[str]:
    """The lines of a text that no teacher speaks, so that `evaluate.py` can; all takes of a line are kept back."""
    different = sorted({line for line in lines if line})
    return sorted(random.Random(seed).sample(different, min(KEPT_BACK, len(different) // 10)))


def speak_corpus(lines: Iterable[str], teacher: Teacher, settings: TeacherSettings, out: Path) -> None:
    """Speak every line that ``out`` does not have yet, in an order that does not follow the text.

    Raises:
        UserError: The first sentences all came back silent or broken.
    """
    spoken, faults = JsonLog(out / "spoken.jsonl"), JsonLog(out / "faults.jsonl")
    (out / "audio").mkdir(parents=True, exist_ok=True)
    missing = [(id, text) for id, text in _named(lines) if id not in spoken and id not in faults]
    for id, text in tqdm(missing, desc="teacher", mininterval=5):
        record = _draw(id, text, settings)
        samples = teacher.speak(text, record["voice"], speed=record["speed"], seed=int(id, 16) % 2**32)
        if fault := fault_of(samples, teacher.sample_rate, text, record["speed"]):
            faults.append({"id": id, "text": text, "fault": fault})
            if not spoken.records and len(faults.records) >= _PATIENCE:
                raise UserError(f"the teacher failed on its first {_PATIENCE} sentences ({fault}); check its voice")
            continue
        path = out / "audio" / f"{id}.flac"
        _write_flac(path, samples, teacher.sample_rate)
        seconds = round(len(samples) / teacher.sample_rate, 3)
        spoken.append({**record, "audio": str(path), "phonemes": teacher.phonemes(text), "seconds": seconds})


def fault_of(samples: np.ndarray, sample_rate: int, text: str, speed: float = 1.0) -> str | None:
    """Why a sentence is not worth keeping, told from its sound alone; None where nothing is wrong."""
    if len(samples) == 0 or not np.isfinite(samples).all():
        return "no samples" if len(samples) == 0 else "samples that are not finite"
    window = sample_rate // 100
    loudness = np.sqrt(np.square(samples[: len(samples) // window * window]).reshape(-1, window).mean(axis=1))
    if len(loudness) == 0 or float(loudness.max()) < _SILENCE:
        return "silence"
    letters = sum(character.isalnum() for character in text)
    seconds = speed * len(samples) / sample_rate
    if seconds < _FASTEST * letters:
        return f"{seconds:.1f} s are too short for {letters} letters"
    if seconds > _SLOWEST * letters + _LEEWAY:
        return f"{seconds:.1f} s are too long for {letters} letters"
    return None


def check_corpus(out: Path, recogniser: recognisers.Recogniser, share: float = 1.0) -> None:
    """Have a recogniser hear a share of what was spoken, and keep what it heard and its word errors."""
    spoken, heard = JsonLog(out / "spoken.jsonl"), JsonLog(out / "heard.jsonl")
    chosen = [record for id, record in spoken.records.items() if random.Random(id).random() < share]
    for record in tqdm([r for r in chosen if r["id"] not in heard], desc="check", mininterval=5):
        said = recogniser(listen(record["audio"]))
        edits, words = word_errors(record["text"], said)
        heard.append(
            {"id": record["id"], "text": record["text"], "heard": said, "wer": round(edits / max(1, words), 3)}
        )


def write_accepted(out: Path, most_errors: float) -> int:
    """Write ``manifest.jsonl``: what was spoken, less what the recogniser understood too badly.

    Sentences that the recogniser did not hear are taken. What is left out is listed in ``left_out.jsonl``.
    """
    spoken, heard = JsonLog(out / "spoken.jsonl"), JsonLog(out / "heard.jsonl")
    bad = [record for record in heard.records.values() if record["wer"] > most_errors]
    write_manifest(out / "left_out.jsonl", sorted(bad, key=lambda record: -record["wer"]))
    left_out = {record["id"] for record in bad}
    return write_manifest(out / "manifest.jsonl", (r for id, r in spoken.records.items() if id not in left_out))


def write_training(corpus: Path, training: Path, validation: Path) -> int:
    """Manifests for training the speech tokenizer: `phonemes` as a list of symbols, without stress, marks and spaces.

    Returns:
        How many sentences the first one holds; some are held out in the second.
    """
    records = [
        {**record, "phonemes": sounds(record["phonemes"] or "")} for record in read_manifest(corpus / "manifest.jsonl")
    ]
    random.Random(HELD_OUT).shuffle(records)
    held_out = min(HELD_OUT, len(records) // 10)
    write_manifest(validation, records[:held_out])
    return write_manifest(training, records[held_out:])


def sounds(phonemes: str) -> list[str]:
    """The phonemes of a string of one-character phonemes, as a recogniser shall spell them."""
    return [symbol for symbol in phonemes if symbol.isalpha() and symbol not in _STRESS]


def _named(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Each different line with an id that depends on its text alone, in the order of the ids."""
    return sorted({hashlib.sha1(line.encode()).hexdigest()[:12]: line for line in lines}.items())


def _draw(id: str, text: str, settings: TeacherSettings) -> dict[str, Any]:
    chance = random.Random(id)
    voice, speed = chance.choice(settings.voices), round(chance.uniform(*settings.speed), 3)
    return {"id": id, "text": text, "voice": voice, "speed": speed}


def _write_flac(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """The file appears under its name only when it is whole."""
    temporary = path.with_name(path.name + ".part")
    soundfile.write(temporary, np.clip(samples, -1, 1), sample_rate, format="FLAC", subtype="PCM_16")
    temporary.replace(path)


if __name__ == "__main__":
    main()
