"""What a batch job costs: whole jobs, text to WAV, beside an autoregressive one that makes sound when all is decoded.

    python recipes/experiments/throughput.py LINES.txt --work FOLDER --count 384 --repeats 3
    python recipes/experiments/throughput.py LINES.txt --work FOLDER --count 2000 --memory docs/memory.png

Runs take turns. Processes are started and voices loaded within the time that is measured, on both sides.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from spear_accel import Voice
from spear_accel.synth import Line, SynthOptions, read_lines, synthesise
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.line_scheduler import LineOptions, decode_lines
from spear_accel.synth.sample import Sample
from spear_accel.synth.writers import make_writer

_FIRST = 100
"""Lines until memory is taken for settled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path)
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=384)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--memory", type=Path, help="a chart of one job's memory, in place of times")
    arguments = parser.parse_args()
    lines = repeated(arguments.lines, arguments.count)
    options = SynthOptions(arguments.voice, batch_size=arguments.batch_size, workers=arguments.workers)
    if arguments.memory is not None:
        memory(lines, options, arguments.work, arguments.memory)
        return
    print(f"rows of the batch that are live: {occupancy(lines, options):.1%}")
    for _ in range(arguments.repeats):
        slow = plain(lines, options, arguments.work / "plain")
        fast = whole(lines, options, arguments.work / "fast")
        print(f"autoregressive, then sound: {slow:.1f} s; synth: {fast:.1f} s; {slow / fast:.2f} times as fast")


def repeated(path: Path, count: int) -> list[Line]:
    """`count` lines, from the file as often as needed; each time with another seed."""
    lines, _ = read_lines(path.read_bytes(), str(path), "txt")
    return [
        replace(line, number=number, id=f"{number:06d}", seed=number // len(lines))
        for number, line in enumerate((lines[place % len(lines)] for place in range(count)), start=1)
    ]


def plain(lines: Sequence[Line], options: SynthOptions, folder: Path) -> float:
    """Seconds of: decode all autoregressively with all threads, then make the sound of all, then write."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    torch.set_num_threads(options.workers)
    voice = Voice.load(options.voice)
    decode = replace(voice.defaults, method="autoregressive", batch_size=options.batch_size)
    jobs = [LineJob(line, options.voice) for line in lines]
    decoded = list(decode_lines(voice, jobs, LineOptions(decode, options.retries)))
    writer = make_writer(options.format, False, folder)
    with torch.inference_mode():
        for job in decoded:
            if job.fault is None:
                planned = [utterance.planned for utterance in job.utterances]
                waveform = voice.sound(planned, job.tokens, job.line.speed).numpy()
                writer.write(Sample(job.line.id, torch.cat(job.tokens).numpy(), waveform, voice.sample_rate))
    return time.perf_counter() - started


def whole(lines: Sequence[Line], options: SynthOptions, folder: Path) -> float:
    """Seconds of the job as `spear-accel synth` does it, guards and manifest included."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    synthesise(lines, [], folder, options)
    return time.perf_counter() - started


def occupancy(lines: Sequence[Line], options: SynthOptions) -> float:
    """Share of the rows of a batch that hold a live utterance, over all rounds of one worker and its share of lines."""
    torch.set_num_threads(1)
    voice = Voice.load(options.voice)
    decode = replace(voice.defaults, batch_size=options.batch_size)
    own = lines[:: options.workers]
    stats = voice.decode_ids([ids for line in own for ids in voice.text_ids(line.text)], decode).stats
    return stats.row_calls / (stats.target_calls * options.batch_size)


def memory(lines: Sequence[Line], options: SynthOptions, work: Path, chart: Path) -> None:
    """Resident memory of all processes by lines made; after the first hundred it should stay."""
    import matplotlib.pyplot as plt

    # A single worker is this process itself.
    processes = 1 if options.workers == 1 else options.workers + 1
    counts: list[int] = []
    megabytes: list[float] = []

    def sample(done: int) -> None:
        sizes = list(_resident()) if done % 10 == 0 else []
        # Workers that have nothing left to do are gone at the end.
        if len(sizes) == processes:
            counts.append(done)
            megabytes.append(sum(sizes) / 1024)

    shutil.rmtree(work / "memory", ignore_errors=True)
    synthesise(lines, [], work / "memory", options, sample)
    settled = [size for done, size in zip(counts, megabytes, strict=True) if done > _FIRST]
    first = next(size for done, size in zip(counts, megabytes, strict=True) if done >= _FIRST)
    print(f"after {_FIRST} lines {first:.0f} MiB; then {min(settled):.0f} to {max(settled):.0f} MiB")
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(counts, megabytes)
    axes.set(xlabel="lines made", ylabel="resident memory, MiB", ylim=(0, None))
    axes.set_title(f"{options.workers} workers, batch size {options.batch_size}")
    figure.savefig(chart, dpi=110)


def _resident() -> Iterator[int]:
    """Kibibytes of this process and its workers; what they share is counted once."""
    for pid in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        yield next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
