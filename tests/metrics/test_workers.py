"""`/metrics` of a server of several processes, as whoever scrapes it sees it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import psutil  # type: ignore[import-untyped]
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.config.settings import Settings
from tests.support.servers import Server, children, environment, is_alive, serving, wait_until

TYPE = {"query": "query Type { __typename }"}


class Scraped(dict[str, float]):
    """Values by name and labels, as they are written."""

    @classmethod
    def of(cls, url: str) -> Scraped:
        text = httpx.get(f"{url}/metrics", timeout=30).raise_for_status().text
        return cls(
            (
                sample.name.removeprefix("fashion_wallet_") + "".join(f"|{each}" for each in sample.labels.values()),
                sample.value,
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )

    def counters(self) -> dict[str, float]:
        return {name: value for name, value in self.items() if name.partition("|")[0].endswith(("_total", "_bucket"))}


@pytest.fixture(params=["serve --port 0 --workers 2"])
def server(
    settings: Settings, clean_stores: None, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Server, str]]:
    """Two workers, and where their metrics are. The parameter is the command."""
    variables = environment(settings, METRICS_PORT="0", LOG_LEVEL="info", LOG_FORMAT="json", SHUTDOWN_TIMEOUT="1")
    with serving(*request.param.split(), folder=tmp_path, variables=variables) as server:
        lines = [orjson.loads(line) for line in server.text().splitlines()]
        (url,) = [line["address"] for line in lines if line["event"] == "metrics"]
        wait_until(lambda: Scraped.of(url)["workers"] == 2, "both workers")
        yield server, url


def ask(server: Server, times: int) -> None:
    """Over new connections, of which each worker takes some."""
    for _ in range(times):
        assert httpx.post(f"{server.url}/graphql", json=TYPE, timeout=30).status_code == 200


def test_any_worker_tells_what_all_have_counted(server: tuple[Server, str]) -> None:
    process, url = server

    ask(process, 60)

    for _ in range(10):  # whichever answers
        found = Scraped.of(url)
        assert found["requests_total|Type|2xx"] == 60
        assert found["request_duration_seconds_count|Type"] == 60
        assert found["workers"] == 2
    both = sum(psutil.Process(pid).memory_info().rss for pid in (*children(process), process.process.pid))
    assert found["process_resident_memory_bytes"] == pytest.approx(both, rel=0.1)
    assert found["process_cpu_seconds_total"] > 0
    assert httpx.get(f"{process.url}/metrics").status_code == 404
    assert httpx.post(f"{url}/graphql", json=TYPE).status_code == 404


def test_a_trace_is_named_in_each_line_and_as_an_exemplar(server: tuple[Server, str]) -> None:
    process, url = server
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "authorization": "Bearer of none"}

    refused = httpx.post(f"{process.url}/graphql", json=TYPE, headers=headers, timeout=30)
    unkept = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    httpx.post(f"{process.url}/graphql", json=TYPE, headers=unkept, timeout=30)
    ask(process, 1)
    accept = {"accept": "application/openmetrics-text;version=1.0.0"}
    shown = httpx.get(f"{url}/metrics", headers=accept).text

    # one line a request, the last of which may come after its answer
    wait_until(lambda: process.text().count('"event":"request"') >= 3, "all are logged")
    lines = [orjson.loads(line) for line in process.text().splitlines()]
    traced = [line for line in lines if line.get("trace_id") == trace]
    assert {line["event"] for line in traced} == {"request", "security"}
    assert [line["request_id"] for line in traced if line["event"] == "request"] == [refused.headers["x-request-id"]]
    assert len([line for line in lines if line["event"] == "request"]) == 3
    exemplars = [line for line in shown.splitlines() if " # {" in line]  # of what is kept: others lead nowhere
    assert len(exemplars) == 1
    assert 'operation="none"' in exemplars[0]
    assert f'# {{trace_id="{trace}"}}' in exemplars[0]


def test_counters_outlive_a_killed_worker(server: tuple[Server, str]) -> None:
    process, url = server
    ask(process, 40)
    before = Scraped.of(url)

    killed = min(children(process))
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: Scraped.of(url)["workers_died_total"] == 1, "it is noticed")
    without = Scraped.of(url)
    wait_until(lambda: Scraped.of(url)["workers"] == 2, "another one serves")
    ask(process, 20)
    after = Scraped.of(url)

    for name, value in before.counters().items():
        assert value <= without[name] <= after[name], name
    assert after["requests_total|Type|2xx"] == 60
    assert not is_alive(killed)


@pytest.mark.parametrize("server", ["-m tests.support.failures.slow"], indirect=True)
def test_counters_outlive_workers_that_are_replaced(server: tuple[Server, str]) -> None:
    process, url = server
    ask(process, 20)
    before, old = Scraped.of(url), children(process)

    os.kill(min(old), signal.SIGSTOP)  # one that doesn't stop by itself
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(now := children(process)) == 2 and not now & old, "both are replaced")
    wait_until(lambda: Scraped.of(url)["workers"] == 2, "both serve")
    ask(process, 20)
    after = Scraped.of(url)

    assert after["requests_total|Type|2xx"] == 40
    assert after["workers_died_total"] == 0
    for name, value in before.counters().items():
        assert value <= after[name], name


def test_workers_that_are_started_anew_count_together(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    variables = environment(settings, METRICS="true")
    with serving("-m", "tests.support.failures.threaded", folder=tmp_path, variables=variables) as server:
        wait_until(lambda: Scraped.of(server.url)["workers"] == 2, "both workers")
        ask(server, 20)

        assert [Scraped.of(server.url)["requests_total|Type|2xx"] for _ in range(10)] == [20] * 10
