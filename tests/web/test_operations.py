"""Alive, ready, figures, and the log as lines of JSON."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from engine.messages import events
from tests.web.support import CHAIN, FakeDispatcher, Running, running
from web.metrics import SECONDS, Histogram
from web.options import JsonLines


async def test_alive_and_ready_are_answered_without_a_token(tmp_path: Path) -> None:
    dispatcher = FakeDispatcher(specs=None)
    async with running(tmp_path, dispatcher, token="a token of some length") as site:
        assert await site.get("/health") == (200, {"status": "ok"})
        assert await site.get("/ready") == (503, {"status": "loading nodes"})
        dispatcher.specs = FakeDispatcher().specs
        assert await site.get("/ready") == (200, {"status": "ok"})
        dispatcher.draining = True
        assert await site.get("/ready") == (503, {"status": "stopping"})
        assert (await site.get("/health"))[0] == 200


async def test_a_server_that_is_about_to_stop_takes_no_job_and_says_when_to_come_back(site: Running) -> None:
    site.dispatcher.draining = True
    async with site.http.post(site.url + "/prompt", json={"prompt": CHAIN}) as answer:
        assert answer.status == 503 and answer.headers["Retry-After"]
    assert site.dispatcher.submitted == []


async def test_prometheus_reads_what_was_done(site: Running) -> None:
    for _ in range(2):
        await site.post("/prompt", {"prompt": CHAIN})
    site.dispatcher.run(site.dispatcher.take_up())
    await site.get("/nothing-here")
    async with site.http.get(site.url + "/metrics") as answer:
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
        text = await answer.text()
    figures = dict(re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([0-9.e+]+)$", text, re.MULTILINE))
    assert figures['easel_jobs{state="queued"}'] == "1.0" and figures["easel_ready"] == "1.0"
    assert figures['easel_jobs_ended_total{state="succeeded"}'] == "1.0"
    assert figures['easel_http_requests_total{method="POST",status="200"}'] == "2.0"
    assert figures['easel_http_requests_total{method="GET",status="404"}'] == "1.0"
    assert float(figures["process_resident_memory_bytes"]) > 2**20
    assert 'easel_job_run_seconds_bucket{le="+Inf"}' in figures


async def test_methods_that_somebody_made_up_are_counted_as_one(site: Running) -> None:
    """What strangers send is no label: each would take memory for ever."""
    for method in ("PROPFIND", "LOCK"):
        async with site.http.request(method, site.url + "/queue"):
            pass
    async with site.http.get(site.url + "/metrics") as answer:
        assert 'method="other"' in await answer.text()


def test_a_histogram_counts_what_lies_below_each_bound() -> None:
    histogram = Histogram()
    for seconds in (0.005, 0.01, 0.2, 1e9):
        histogram.add(seconds)
    buckets = dict(histogram.buckets())
    assert len(buckets) == len(SECONDS) + 1
    assert (buckets["0.01"], buckets["0.5"], buckets["1800"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert histogram.total == pytest.approx(1e9 + 0.215)


def test_a_line_of_the_log_is_one_json_object() -> None:
    record = logging.LogRecord("easel", logging.WARNING, "file", 1, "two\nlines of %s", ("Ärger",), None)
    record.fields = {"job": "a", "state": "failed"}
    line = JsonLines().format(record)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["level"], read["message"], read["job"]) == ("warning", "two\nlines of Ärger", "a")
    try:
        raise ValueError("broken")
    except ValueError as error:
        failed = logging.LogRecord("easel", logging.ERROR, "file", 1, "it failed", (), (type(error), error, None))
    assert "ValueError: broken" in json.loads(JsonLines().format(failed))["exception"]


async def test_a_job_that_ends_is_a_line_with_its_fields_and_no_prompt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "easel.jobs")
    async with running(tmp_path, tell_jobs=True) as site:
        await site.post("/prompt", {"prompt": CHAIN, "prompt_id": "mine"})
        job = site.dispatcher.take_up()
        site.dispatcher.end(job, events.Succeeded(time=1.0))
    (line,) = [json.loads(JsonLines().format(each)) for each in caplog.records if each.name == "easel.jobs"]
    assert line["job"] == "mine" and "class_type" not in json.dumps(line)
