"""The likeliest path through a text."""

from __future__ import annotations

from spear_accel.alignment.viterbi import best_path
from tests.alignment.conftest import looks, steady


def test_a_glance_elsewhere_is_not_followed() -> None:
    path = steady(20)
    path[30] = 17
    assert best_path(looks(path, 20).numpy()) == steady(20)
