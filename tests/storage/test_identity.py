"""A job goes on only beside results of the same job."""

from __future__ import annotations

from pathlib import Path

import pytest

from spear_accel.errors import UserError
from spear_accel.storage.identity import check_same, claim

JOB = {"voice": "abc", "seed": 3, "sizes": (1, 8)}


@pytest.fixture
def claimed(tmp_path: Path) -> Path:
    claim(tmp_path / "job.json", JOB, tmp_path / "results.jsonl", "choose another -o")
    (tmp_path / "results.jsonl").write_text("")
    return tmp_path


def test_the_same_job_goes_on_and_tuples_are_lists(claimed: Path) -> None:
    before = (claimed / "job.json").read_bytes()
    claim(claimed / "job.json", JOB, claimed / "results.jsonl", "")
    claim(claimed / "job.json", {**JOB, "sizes": [1, 8]}, claimed / "results.jsonl", "")
    assert (claimed / "job.json").read_bytes() == before


def test_every_differing_value_of_another_job_is_named(claimed: Path) -> None:
    with pytest.raises(UserError, match=r"holds work with another seed, sizes, new; choose another -o"):
        claim(claimed / "job.json", JOB | {"seed": 4, "sizes": (1,), "new": None}, claimed / "x", "choose another -o")


def test_results_of_unknown_origin_are_refused(claimed: Path) -> None:
    (claimed / "job.json").unlink()
    with pytest.raises(UserError, match=r"results\.jsonl: job\.json is missing beside it; choose another -o"):
        claim(claimed / "job.json", JOB, claimed / "results.jsonl", "choose another -o")
    assert not (claimed / "job.json").exists()


def test_what_is_held_beyond_the_job_does_not_matter() -> None:
    check_same({**JOB, "sizes": [1, 8], "more": 1}, JOB, Path("out"), "")
