"""Judge a voice with outside recognisers and quality models, stage by stage, on sentences that no training step saw.

    python recipes/kathleen/evaluate.py --work WORK [--sentences FILE] [--ratings dnsmos distillmos speaker]
    python recipes/kathleen/evaluate.py --work WORK [--sentences FILE] --recogniser whisper --model FOLDER_OR_NAME

Prints one table of all sets (`evaluation_sets.py`) with 95 % intervals over utterances, and writes OUT/table.json and
OUT/SET/worst.txt. OUT keeps every sound and judgement: the same command goes on where it stopped, and the table shows
all judges that were ever run on OUT. Choose checkpoints and settings by Moonshine, report Whisper. Needs the extras
``fairseq2`` and ``eval``, and the package of each judge that is asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ratings
import recognisers
from evaluation_sets import OF_RECORDINGS, SETS, SetMaker, read_items
from evaluation_table import markdown, row_of, write_worst
from json_log import JsonLog
from listening import listen
from teacher import kept_back
from tqdm import tqdm

from spear_accel.data.corpus import prompt_of
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.json_lines import read_manifest

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="the recipe's working folder")
    parser.add_argument("--manifest", type=Path, help="id, audio, text; WORK/manifests/test.jsonl if left out")
    parser.add_argument("--out", type=Path, help="keeps sounds and judgements; WORK/evaluation if left out")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--sets", nargs="+", choices=SETS, help="all for which there is text, if left out")
    parser.add_argument("--count", type=int, default=100, help="utterances of each set")
    parser.add_argument("--sentences", type=Path, help="the text that `teacher.py` kept sentences back from")
    parser.add_argument("--everyday", type=Path, default=HERE / "everyday_sentences.txt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recogniser", nargs="*", choices=recognisers.RECOGNISERS, default=["moonshine"])
    parser.add_argument("--model", help="of a single recogniser: its model's folder or name")
    parser.add_argument("--ratings", nargs="*", choices=ratings.RATERS, default=[])
    arguments = parser.parse_args()
    try:
        rows = run(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(markdown(rows))


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Make, hear and rate what is missing; returns a row for each set that OUT holds."""
    if arguments.model and len(arguments.recogniser) != 1:
        raise UserError("--model is the model of one recogniser; name that one alone, and run once for each")
    # Before minutes of synthesis: are the judges there?
    judges: dict[str, Callable[..., Any]] = {
        name: recognisers.load(name, arguments.model) for name in arguments.recogniser
    } | {name: ratings.load(name) for name in arguments.ratings}
    out = arguments.out or _in_work(arguments.work, "evaluation")
    maker = SetMaker(arguments.voice, out, arguments.seed)
    for name, records in texts_of_sets(arguments).items():
        maker.make(name, records)
        for judge, judged in judges.items():
            add_judgements(out / name, judge, judged)
    folders = [out / name for name in SETS if (out / name).is_dir()]
    rows = [row_of(folder, out / "recording") for folder in folders]
    for folder in folders:
        write_worst(folder)
    files.write_text(out / "table.json", json.dumps(rows, indent=1) + "\n")
    return rows


def texts_of_sets(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """The records of each set that is wanted."""
    found: dict[str, list[dict[str, Any]]] = {}
    manifest = arguments.manifest or _in_work(arguments.work, "manifests", "test.jsonl")
    prompts = one_take(read_manifest(manifest, ("id", "audio", "text")))
    found |= dict.fromkeys(OF_RECORDINGS, prompts[: arguments.count])
    if arguments.sentences:
        found["sentences"] = _numbered(kept_back(_lines(arguments.sentences)))[: arguments.count]
    found["everyday"] = _numbered(_lines(arguments.everyday))[: arguments.count]
    wanted = arguments.sets or list(found)
    if "sentences" in wanted and "sentences" not in found:
        raise UserError("the set 'sentences' needs --sentences FILE")
    return {name: found[name] for name in wanted}


def one_take(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first recording of every prompt."""
    first: dict[str, dict[str, Any]] = {}
    for record in records:
        first.setdefault(prompt_of(record["id"]), record)
    return list(first.values())


def add_judgements(folder: Path, judge: str, judged: Callable[..., Any]) -> None:
    """Judge each item that ``OUT/SET/JUDGE.jsonl`` does not have."""
    log = JsonLog(folder / f"{judge}.jsonl")
    missing = [(item, path) for item, path in read_items(folder) if item["id"] not in log]
    for item, path in tqdm(missing, desc=f"{folder.name}, {judge}", mininterval=5):
        log.append({"id": item["id"], judge: judged(listen(path))})


def _in_work(work: Path | None, *parts: str) -> Path:
    if work is None:
        raise UserError("name the recipe's working folder with --work, or both --manifest and --out")
    return work.joinpath(*parts)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _numbered(lines: list[str]) -> list[dict[str, Any]]:
    return [{"id": f"{number:03d}", "text": line} for number, line in enumerate(lines, start=1)]


if __name__ == "__main__":
    main()
