"""Where golden files are missing the tests of parity are skipped, but not in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.conftest import checkpoints


def test_missing_files_are_a_skip_here_and_a_failure_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    [skipped] = checkpoints("none", ".pt", tmp_path)
    assert skipped.marks[0].name == "skip"  # type: ignore[attr-defined]
    monkeypatch.setenv("CI", "true")
    with pytest.raises(FileNotFoundError, match="needs the golden files of other packages"):
        checkpoints("none", ".pt", tmp_path)
