"""What Prometheus may read at ``/metrics``: counts and times, nothing of anybody."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Meters:
    """The counters of one application; several in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "faceset_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "faceset_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ["route"],
            buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300),
            registry=self._registry,
        )
        self.rejected = Counter(
            "faceset_rejected", "Requests turned away before any work.", ["reason"], registry=self._registry
        )
        self.faces = Counter("faceset_faces", "Faces found in uploads.", registry=self._registry)
        self.worker_restarts = Counter(
            "faceset_worker_restarts", "Times the worker process had to be started anew.", registry=self._registry
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All of it in the text format of Prometheus."""
        return generate_latest(self._registry)
