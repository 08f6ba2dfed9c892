"""How soon the first sound of a paragraph comes: `Voice.stream` against the whole of it and against `Voice.speak`.

    python recipes/experiments/first_audio.py [--voice VOICE] [--runs N] [--threads N] [--plot OUT.png] [--json F]

Speaks a paragraph of 60 words, once without counting and then `--runs` times each way in turn, and notes when each
piece of the stream was ready and how many seconds of sound it held. The line and the chart tell of the run whose first
sound took the median time. "In store" is sound that is ready and not yet heard, for a listener who starts at once.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

import torch

from spear_accel import Voice
from spear_accel.storage import files

PARAGRAPH = (
    "The boats come home late in the evening, when the wind has gone down. On the quay a few people wait with lamps "
    "and talk about the weather. Nobody is in a hurry. The nets are laid out to dry along the wall, and the fish is "
    "carried up to the market. By morning the harbour will be empty again."
)


@dataclass(frozen=True)
class Run:
    """Seconds on the clock since the call, and seconds of sound."""

    ready: list[float]
    """When each piece of the stream was there."""
    sound: list[float]
    """Length of each piece."""
    speak: float
    """Time of `speak`, right after the stream."""

    @property
    def first(self) -> float:
        """Until there was something to hear."""
        return next(ready for ready, sound in zip(self.ready, self.sound, strict=True) if sound > 0.0)

    @property
    def share(self) -> float:
        """Of the first sound in the time of the whole stream."""
        return self.first / self.ready[-1]

    @property
    def slack(self) -> float:
        """Least sound in store, in seconds, whenever a listener who began at the first piece needed the next."""
        had = list(accumulate(self.sound))
        left = [heard - (ready - self.first) for heard, ready in zip(had, self.ready[1:], strict=False)]
        return min(left, default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--plot", type=Path, help="also a chart, PNG")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    voice = Voice.load(arguments.voice)
    measure(voice)
    runs = sorted((measure(voice) for _ in range(arguments.runs)), key=lambda run: run.first)
    median = runs[len(runs) // 2]
    print(line(median))
    if arguments.json:
        with files.replacing(arguments.json) as temporary:
            temporary.write_text(json.dumps([asdict(run) for run in runs]) + "\n")
    if arguments.plot:
        plot(median, arguments.plot)


def measure(voice: Voice) -> Run:
    started = time.perf_counter()
    ready, sound = [], []
    for piece in voice.stream(PARAGRAPH, seed=0):
        ready.append(time.perf_counter() - started)
        sound.append(piece.seconds)
    started = time.perf_counter()
    voice.speak(PARAGRAPH, seed=0)
    return Run(ready, sound, time.perf_counter() - started)


def line(run: Run) -> str:
    return (
        f"{len(PARAGRAPH.split())} words, {sum(run.sound):.1f} s of sound, threads: {torch.get_num_threads()}; "
        f"first sound {run.first:.3f} s, whole stream {run.ready[-1]:.3f} s ({run.share:.0%}), "
        f"speak {run.speak:.3f} s, least in store {run.slack:.2f} s"
    )


def plot(run: Run, path: Path) -> None:
    """Sound ready over time, with what a listener has heard who starts at the first piece."""
    from matplotlib.figure import Figure

    had = list(accumulate(run.sound))
    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.subplots()
    end = 1.12 * max(run.ready[-1], run.speak)
    axes.step([*run.ready, end], [*had, had[-1]], where="post", color="#0072B2", label="stream: sound ready")
    axes.plot(run.ready, had, "o", color="#0072B2", markersize=4)
    axes.plot([run.first, end], [0.0, end - run.first], color="#D55E00", label="heard, if played from the first piece")
    axes.axvline(run.speak, color="grey", linestyle="--", label=f"speak: all of it at {run.speak:.2f} s")
    axes.annotate(
        f"first sound at {run.first:.2f} s,\n{run.share:.0%} of the stream's {run.ready[-1]:.2f} s",
        (run.first, had[run.ready.index(run.first)]), (14, 62), textcoords="offset points", backgroundcolor="white",
        arrowprops={"arrowstyle": "->", "color": "#444444"}, fontsize="small",
    )  # fmt: skip
    axes.set_xlim(0.0, end)
    axes.set_ylim(0.0, 1.08 * had[-1])
    axes.set_xlabel("time since the call, s")
    axes.set_ylabel("sound, s")
    axes.set_title(f"{len(PARAGRAPH.split())} words, threads: {torch.get_num_threads()}", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize="small", framealpha=1.0)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


if __name__ == "__main__":
    main()
