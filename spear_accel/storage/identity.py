"""Is this the same job? A small JSON file says what the results beside it depend on.

A job that is started again goes on only where every value is the same. Knows no job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["check_same", "claim"]


def claim(path: Path, job: Mapping[str, Any], results: Path, advice: str) -> None:
    """Writes what `results` will depend on to `path`, or compares it with what is written there.

    Args:
        path: The identity file.
        job: Everything that the results depend on, JSON values by name.
        results: The file with the results; without an identity file nobody knows what made it.
        advice: What the user can do, for the end of an error.

    Raises:
        UserError: `path` names another job (every differing value is named), or is missing beside `results`.
    """
    if path.exists():
        check_same(files.read_json(path), job, path.parent, advice)
    elif results.exists():
        raise UserError(f"{results}: {path.name} is missing beside it; {advice}")
    else:
        files.write_json(path, dict(job))


def check_same(held: Mapping[str, Any], job: Mapping[str, Any], place: Path, advice: str) -> None:
    """Compares a job with the one that `place` holds; values count as equal when their JSON is.

    Raises:
        UserError: They differ; every differing value of `job` is named.
    """
    known, wanted = (json.loads(json.dumps(dict(values))) for values in (held, job))
    differing = ", ".join(name for name, value in wanted.items() if name not in known or known[name] != value)
    if differing:
        raise UserError(f"{place}: holds work with another {differing}; {advice}")
