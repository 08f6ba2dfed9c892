"""What a command says to a person: lines and progress on standard error, never on standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")


def say(line: str) -> None:
    """One line on standard error, if that can be written to: no work is lost because nobody listens."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"spear-accel: {line}", file=sys.stderr, flush=True)


def warn(line: str) -> None:
    say(f"warning: {line}")


@contextmanager
def resumable() -> Iterator[None]:
    """A job that goes on when it is started again says so when it is interrupted."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("interrupted; the same command goes on where it was") from error


def _listening() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress(items: Iterable[T], unit: str, total: int | None = None) -> Iterator[T]:
    """`items`, with a bar on standard error where that is a terminal."""
    if not _listening():
        yield from items
        return
    from tqdm import tqdm

    yield from tqdm(items, total=total, unit=unit, file=sys.stderr, leave=False, dynamic_ncols=True)


@contextmanager
def counting(total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar that is told how much is done, on standard error where that is a terminal; total: None if not known."""
    if not _listening():
        yield lambda done: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, file=sys.stderr, leave=False, dynamic_ncols=True) as bar:
        yield lambda done: (bar.update(done - bar.n), None)[1]
