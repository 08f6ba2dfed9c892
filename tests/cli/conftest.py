"""Runs command lines in this process and keeps what they print."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from spear_accel.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: bytes
    err: str

    @property
    def error_line(self) -> str:
        """The single line that a refused command prints."""
        lines = self.err.splitlines()
        assert self.code == 2 and len(lines) == 1 and not self.out, self
        assert lines[0].startswith("spear-accel: error: ")
        return lines[0]


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("speak", "Hi", stdin=b"...")`; threads are left as the tests have set them."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def start(*arguments: object, stdin: bytes = b"") -> Outcome:
        out, err = io.BytesIO(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
            patch.setattr(sys, "stderr", err)
            code = main.run([str(argument) for argument in arguments])
            written = out.getvalue()
        return Outcome(code, written, err.getvalue())

    return start
