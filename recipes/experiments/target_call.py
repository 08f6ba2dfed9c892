"""What one call of the target costs by each kernel that this machine has, against PyTorch in the same run.

    python recipes/experiments/target_call.py [--voice VOICE] [--repeats 200] [--precision int8]

Kernels take turns at every shape, and the least time of all repeats counts: what others do on the machine hardly
shows in it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel import Voice
from spear_accel.model import DecoderState, TextToSemantic
from spear_accel.model.native_backend import NativeBackend
from spear_accel.native import TORCH, available_kernels

SHAPES = ((1, 1), (1, 8), (1, 16), (1, 24), (8, 1), (8, 8), (32, 1))
"""Rows and new tokens of each."""
COMMITTED, LETTERS = 150, 50


@dataclass
class Bench:
    """One decoder with each of its backends, and a clock in seconds."""

    model: TextToSemantic
    backends: dict[str, NativeBackend]
    clock: Callable[[], float]

    def least(self, rows: int, count: int, repeats: int) -> dict[str, float]:
        """Milliseconds of layers and logits, by kernel."""
        calls = {name: self._call(backend, rows, count) for name, backend in self.backends.items()}
        least = dict.fromkeys(calls, float("inf"))
        for _ in range(repeats):
            for name, call in calls.items():
                started = self.clock()
                call()
                least[name] = min(least[name], self.clock() - started)
        return {name: 1000 * seconds for name, seconds in least.items()}

    def _call(self, backend: NativeBackend, rows: int, count: int) -> Callable[[], Tensor]:
        state = self._state(rows)
        block = torch.randint(0, self.model.config.semantic_units, (rows, count))

        def call() -> Tensor:
            return backend.logits(backend.forward(block, state, slice(None), None, None, None))

        call()
        return call

    def _state(self, rows: int) -> DecoderState:
        config = self.model.config
        state = self.model.start(torch.randint(1, config.letters, (rows, LETTERS)), COMMITTED + 100)
        self.model.decoder.forward(torch.randint(0, config.semantic_units, (rows, COMMITTED)), state)
        state.keep([COMMITTED] * rows)
        return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--kernels", help="by default all that this machine has")
    parser.add_argument("--cpu-time", action="store_true", help="of this process, all threads; for a busy machine")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "int8"), help="of the native weights")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model = Voice.load(arguments.voice).model
    names = arguments.kernels.split(",") if arguments.kernels else [TORCH, *available_kernels()]
    backends = {name: NativeBackend(model.decoder, name, arguments.precision) for name in names}
    bench = Bench(model, backends, time.process_time if arguments.cpu_time else time.perf_counter)
    print(
        f"{torch.get_num_threads()} thread(s); {COMMITTED} tokens committed; least of {arguments.repeats}, milliseconds"
    )
    print(f"{'rows x tokens':<16}" + "".join(f"{name:>10}" for name in names))
    with torch.inference_mode():
        for rows, count in SHAPES:
            least = bench.least(rows, count, max(5, arguments.repeats // (rows if count > 1 else 1)))
            print(f"{f'{rows} x {count}':<16}" + "".join(f"{least[name]:10.3f}" for name in names), flush=True)


if __name__ == "__main__":
    main()
