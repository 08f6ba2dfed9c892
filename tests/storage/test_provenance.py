"""What made a file: version, commit and arguments, and no path of the machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import spear_accel
from spear_accel.storage.provenance import commit, provenance


def test_version_commit_and_arguments_are_json() -> None:
    made = provenance({"seed": 3, "sizes": (1, 8), "loop": {"rate": 0.1, "plot": None}, "raw": True})
    assert made["version"] == spear_accel.__version__
    assert made["arguments"] == {"seed": 3, "sizes": [1, 8], "loop": {"rate": 0.1, "plot": None}, "raw": True}
    assert json.loads(json.dumps(made)) == made


def test_of_absolute_paths_only_the_name_is_kept(tmp_path: Path) -> None:
    given = {"output": str(tmp_path / "run"), "work": tmp_path / "w", "home": "~/voices/mine", "near": "voices/mine"}
    made = provenance(given)["arguments"]
    assert made == {"output": "run", "work": "w", "home": "mine", "near": "voices/mine"}


def test_a_checkout_says_its_commit_and_an_installed_package_none() -> None:
    found = commit()
    if (Path(spear_accel.__file__).resolve().parents[1] / ".git").exists():
        assert found is not None and re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found)
    else:
        assert found is None
