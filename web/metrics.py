"""What is counted while the server runs, and how Prometheus reads it.

Counting is a few additions; ``prometheus_client`` is imported when somebody first asks. The names follow Prometheus's
conventions: base units, ``_total`` for what only rises.
"""

from __future__ import annotations

import bisect
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from engine.jobs.job import Job, JobDropped, JobEnded
from web.state import Server

log = logging.getLogger("easel.jobs")

SECONDS = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)  # upper bounds of the histograms' buckets


@dataclass
class Histogram:
    """How many measurements lie below each bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Take a measurement."""
        self.counts[bisect.bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Bounds and how many lie at or below them."""
        found, below = [], 0
        for bound, count in zip([*(f"{each:g}" for each in SECONDS), "+Inf"], self.counts, strict=True):
            below += count
            found.append((bound, float(below)))
        return found


@dataclass
class Metrics:
    """Counts requests and jobs; ``tell_jobs`` writes a line into the log for each job that ends."""

    tell_jobs: bool = False
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)  # method, status
    jobs: Counter[str] = field(default_factory=Counter)  # end state
    run: Histogram = field(default_factory=Histogram)
    waited: Histogram = field(default_factory=Histogram)

    def tell(self, job: Job | None, event: Any) -> None:
        """Take an event or notice from the dispatcher."""
        if not isinstance(event, JobDropped | JobEnded):
            return
        job = event.job
        self.jobs[job.state] += 1
        if job.started is not None and job.ended is not None:
            self.run.add(max(0.0, job.ended - job.started))
            self.waited.add(max(0.0, job.started - job.created))
        if self.tell_jobs:
            fields = {"job": job.id, "state": job.state, "owner": job.owner, "attempts": job.attempt,
                      "created": job.created, "started": job.started, "ended": job.ended}
            log.info("job %s %s", job.id, job.state, extra={"fields": fields})


METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)


def exposition(server: Server, metrics: Metrics) -> bytes:
    """All figures in Prometheus's text format."""
    from prometheus_client import ProcessCollector, generate_latest
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)  # resident memory, CPU seconds and open files of the server's process
    registry.register(_Figures(server, metrics))
    return generate_latest(registry)


@dataclass(eq=False)
class _Figures:
    server: Server
    metrics: Metrics

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        def gauge(name: str, text: str, number: float) -> Any:
            return GaugeMetricFamily(name, text, value=number)

        server, queue = self.server, self.server.dispatcher.queue()
        yield gauge("easel_ready", "Whether the nodes are known and jobs are taken.", is_ready(server))
        jobs = GaugeMetricFamily("easel_jobs", "Jobs that have not ended.", labels=["state"])
        jobs.add_metric(["queued"], len(queue.pending))
        jobs.add_metric(["running"], len(queue.running))
        yield jobs
        yield gauge("easel_queue_paused", "Whether the queue is paused.", server.dispatcher.paused)
        yield gauge("easel_websocket_clients", "Clients that are connected.", len(server.hub.connections))
        ended = CounterMetricFamily("easel_jobs_ended", "Jobs that ended since the start.", labels=["state"])
        for state in ("succeeded", "failed", "cancelled"):
            ended.add_metric([state], self.metrics.jobs[state])
        yield ended
        requests = CounterMetricFamily("easel_http_requests", "Requests that were answered.",
                                       labels=["method", "status"])
        for (method, status), count in sorted(self.metrics.requests.items()):
            requests.add_metric([method, status], count)
        yield requests
        for name, text, histogram in (
            ("easel_job_run_seconds", "From taking a job up to its end.", self.metrics.run),
            ("easel_job_wait_seconds", "From posting a job to taking it up.", self.metrics.waited),
        ):
            family = HistogramMetricFamily(name, text)
            family.add_metric([], histogram.buckets(), histogram.total)
            yield family
        memory = GaugeMetricFamily("easel_device_memory_bytes", "Memory of the devices.", labels=["device", "kind"])
        for each in server.dispatcher.devices:
            memory.add_metric([each.name, "total"], each.total)
            memory.add_metric([each.name, "free"], each.free)
        yield memory


def is_ready(server: Server) -> bool:
    """Whether a job that is posted now is taken, and a worker is there that has said what it can do."""
    return server.dispatcher.specs is not None and not server.dispatcher.draining
