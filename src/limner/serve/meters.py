"""``/metrics``: counters and gauges for Prometheus, in a registry of each server's own."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from limner.serve.jobs import OVER, Tiding
from limner.serve.service import Service
from limner.serve.shell import shell

router = APIRouter(tags=["health"])
TEXT = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format"}}
QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
SLOW = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 600.0)


class Meters:
    """Of one server: what was asked and answered, what was made, what waits."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "limner_http_requests", "answers", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "limner_http_seconds",
            "seconds to the last byte of an answer",
            ("route",),
            buckets=QUICK,
            registry=self.registry,
        )
        self._pictures = Counter("limner_pictures", "pictures made", registry=self.registry)
        self._each = Histogram(
            "limner_picture_seconds", "seconds to draw a picture", buckets=SLOW, registry=self.registry
        )
        self._jobs = Counter("limner_jobs", "jobs that are over", ("state",), registry=self.registry)
        self.registry.register(_Now(service))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """An answer was sent."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def heard(self, tiding: Tiding) -> None:
        """Something happened to a job."""
        if tiding.type == "made":
            self._pictures.inc()
            seconds = tiding.data.get("seconds")
            if isinstance(seconds, int | float):
                self._each.observe(seconds)
        elif tiding.type in OVER:
            self._jobs.labels(tiding.type).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Now(Collector):
    """What is so at the moment of asking."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        inside = self._service.inside
        for name, words, value in (
            ("limner_queue_pictures", "pictures accepted and not finished", inside.pending),
            ("limner_jobs_running", "jobs under way", len(inside.running)),
            ("limner_worker_ready", "whether the worker process takes jobs", int(inside.crew.ready)),
            ("limner_draining", "whether the server is about to stop", int(inside.draining)),
        ):
            yield GaugeMetricFamily(name, words, value)
        restarts = max(0, inside.crew.starts - 1)
        yield CounterMetricFamily("limner_worker_restarts", "times the worker process was started again", restarts)


@router.get("/metrics", response_class=Response, responses=TEXT)  # type: ignore[arg-type]
async def metrics(request: Request) -> Response:
    """Counters and gauges in Prometheus' text format."""
    return Response(shell(request).meters.text(), media_type=CONTENT_TYPE_LATEST)
