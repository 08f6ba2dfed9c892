"""Figures for Prometheus. Every application has a registry of its own, so that several may live in one process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["Metrics"]

_FIRST_SOUND = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_WHOLE = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """What a server counts."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter(
            "spear_accel_requests", "Requests by path and status.", ["path", "status"], registry=own
        )
        self.gone = Counter("spear_accel_clients_gone", "Clients that left before the end.", registry=own)
        self.characters = Counter("spear_accel_characters", "Characters of the texts that were taken in.", registry=own)
        self.sound = Counter("spear_accel_sound_seconds", "Seconds of sound that were made.", registry=own)
        self.tokens = Counter("spear_accel_tokens", "Semantic tokens that were decoded.", registry=own)
        self.doubtful = Counter(
            "spear_accel_doubtful_utterances", "Utterances that skip or repeat words of their text.", registry=own
        )
        self.first_sound = Histogram(
            "spear_accel_first_sound_seconds", "From a request to its first sound.", buckets=_FIRST_SOUND, registry=own
        )
        self.whole = Histogram(
            "spear_accel_request_seconds", "From a request to its last byte.", buckets=_WHOLE, registry=own
        )

    def watch(self, name: str, help: str, value: Callable[[], float]) -> None:
        """A gauge whose value is asked for whenever somebody looks."""
        Gauge(f"spear_accel_{name}", help, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """The exposition in Prometheus' text format."""
        return generate_latest(self.registry)
