"""What tests need beyond the base install, and how they say that it is missing."""

from __future__ import annotations

import pytest

from spear_accel.audio.libsndfile import load_libsndfile


def need_fairseq2() -> None:
    """Skip the module or the test where fairseq2 is not installed."""
    load_libsndfile()
    pytest.importorskip("fairseq2", reason="speech encoders need the extra fairseq2")
