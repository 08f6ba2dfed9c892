"""Runs peers and our own decoding by turns, and puts them into one table.

Each peer, at each number of threads, has a process of its own: several OpenMP runtimes in one process spin against each
other. Turns are interleaved as in `bench.speed`; of each peer the best number of threads counts.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import torch

from spear_accel.bench.peers.roofline import tokens_per_second
from spear_accel.bench.peers.shape import Shape, build, check
from spear_accel.bench.table import Table
from spear_accel.decoding import DecodeOptions
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.voice.voice import Voice

__all__ = ["Figure", "compare", "table_of"]

_PRECISIONS = {"ctranslate2": ("float32", "int8"), "transformers": ("float32", "bfloat16")}
_OURS = ("autoregressive", "auto")
_ALONE = 8
"""Texts that are said one after the other."""
_PATIENCE = 600.0
"""Seconds that a peer may take for one turn."""


@dataclass(frozen=True)
class Figure:
    """Median of the repeats of one system at one batch size."""

    system: str
    precision: str
    threads: int
    batch_size: int
    tokens_per_second: float
    roofline: float | None = None
    """Tokens a second that reading weights and caches once a step, or their arithmetic, would allow at most."""


def compare(
    voice: Voice, texts: Sequence[str], batch_sizes: Sequence[int], options: DecodeOptions, repeats: int,
    peers: Sequence[str],
) -> Iterator[Figure]:  # fmt: skip
    """Every system at every batch size, the best number of threads of each.

    Args:
        voice: Ours, in the precision that it was loaded in, at torch's number of threads.
        texts: Repeated where they are fewer than twice the largest batch.
        batch_sizes: Texts decoded at once.
        options: Seed and temperature.
        repeats: Timed turns of each.
        peers: Names, see `PEERS`.

    Raises:
        UserError: A peer is not installed, or failed.
    """
    check(peers)
    texts = [texts[i % len(texts)] for i in range(max(_ALONE, 2 * max(batch_sizes), len(texts)))]
    ids = [list(voice.tokenizer.encode(voice.plan(text)[0].text)) for text in texts]
    shape, threads = Shape.of(voice.model.config), sorted({1, torch.get_num_threads()})
    with ExitStack() as stack:
        workers = {
            (name, precision, count): stack.enter_context(_process(name, shape, count, precision))
            for name in peers
            for precision in _PRECISIONS[name]
            for count in threads
        }
        for size in batch_sizes:
            yield from _at(size, voice, texts, ids, options, repeats, workers)


def _at(
    size: int, voice: Voice, texts: Sequence[str], ids: list[list[int]], options: DecodeOptions, repeats: int,
    workers: dict[tuple[str, str, int], Connection],
) -> Iterator[Figure]:  # fmt: skip
    # Peers may be a hundred times slower, so they say one batch a turn, or eight texts alone.
    batches = [ids[at : at + size] for at in range(0, max(_ALONE, size) - size + 1, size)]
    texts = texts[: max(_ALONE, 2 * size)]
    ours = {method: replace(options, method=method, batch_size=size) for method in _OURS}
    count = 0
    for method in ours.values():
        found = voice.text_to_semantic(texts[:size], method)
        # As many tokens a text as the voice says of these on average.
        count = round(sum(map(len, found.tokens)) / size)
    for connection in workers.values():
        _turn(connection, batches[:1], count, options.temperature)
    mine: dict[str, list[float]] = {method: [] for method in ours}
    theirs: dict[tuple[str, str, int], list[float]] = {key: [] for key in workers}
    for _ in range(repeats):
        for name, method in ours.items():
            result = voice.text_to_semantic(texts, method)
            mine[name].append(sum(map(len, result.tokens)) / result.stats.wall_seconds)
        for key, connection in workers.items():
            theirs[key].append(sum(map(len, batches)) * count / _turn(connection, batches, count, options.temperature))
    precision, letters = voice.model.decoder.backend.precision, sum(map(len, ids)) // len(ids)
    limit = tokens_per_second(voice.model, precision, size, letters, count)
    for name, speeds in mine.items():
        bound = limit if name == "autoregressive" else None
        yield Figure(f"spear-accel {name}", precision, torch.get_num_threads(), size, statistics.median(speeds), bound)
    for peer, held in dict.fromkeys((peer, held) for peer, held, _ in theirs):
        medians = {key[2]: statistics.median(speeds) for key, speeds in theirs.items() if key[:2] == (peer, held)}
        best = max(medians, key=lambda threads: medians[threads])
        yield Figure(peer, held, best, size, medians[best])


@contextmanager
def _process(name: str, shape: Shape, threads: int, precision: str) -> Iterator[Connection]:
    """A peer in a process of its own."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, name, shape, threads, precision), daemon=True)
    process.start()
    far.close()
    try:
        _answer(near)
        yield near
    finally:
        process.terminate()
        process.join()


def _serve(connection: Connection, name: str, shape: Shape, threads: int, precision: str) -> None:
    try:
        peer = build(name, shape, threads, precision)
        connection.send(0.0)
        while True:
            batches, count, temperature = connection.recv()
            started = time.perf_counter()
            for batch in batches:
                peer(batch, count, temperature)
            connection.send(time.perf_counter() - started)
    except EOFError:
        return
    except Exception as error:  # Whatever a peer stumbles over is said in the other process.
        connection.send(f"{name}: {error}" if not isinstance(error, UserError) else str(error))


def _turn(connection: Connection, batches: list[list[list[int]]], count: int, temperature: float) -> float:
    connection.send((batches, count, temperature))
    return _answer(connection)


def _answer(connection: Connection) -> float:
    if not connection.poll(_PATIENCE):
        raise UserError(f"a peer did not answer in {_PATIENCE:g} seconds; leave it out of --peers")
    try:
        answer = connection.recv()
    except EOFError as error:
        raise UserError("a peer's process ended; leave it out of --peers") from error
    if isinstance(answer, str):
        raise UserError(answer)
    return float(answer)


def table_of(figures: Sequence[Figure]) -> Table:
    """Rows by batch size; our method that is fastest is 1."""
    rows: list[tuple[str, ...]] = []
    for figure in figures:
        same = [one for one in figures if one.batch_size == figure.batch_size]
        ours = max(one.tokens_per_second for one in same if one.system.startswith("spear-accel"))
        share = "-" if figure.roofline is None else f"{figure.tokens_per_second / figure.roofline:.2f}"
        rows.append(
            (figure.system, figure.precision, str(figure.threads), str(figure.batch_size),
             f"{figure.tokens_per_second:.0f}", f"{ours / figure.tokens_per_second:.2f}", share)
        )  # fmt: skip
    columns = ("system", "precision", "threads", "batch", "tokens/s", "our best over it", "of the roofline")
    return Table("Peers of the same shape", columns, rows)
