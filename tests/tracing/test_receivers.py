"""A receiver that is dead, slow or refuses delays nobody; what is left is sent when a process leaves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from api.config.settings import Settings
from api.tracing.opening import are_wanted, obstacle
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import execute
from tests.support.live import CHANGES, followed
from tests.support.otlp import VARIABLE, Receiver, receiving
from tests.support.servers import CLOSED, environment, serving
from tests.support.stores.observing import observing

pytestmark = pytest.mark.anyio

TYPENAME = "query Mine { __typename }"
NAMES = "{ catalogItems(first: 1) { nodes { name } } }"
MANY = 40


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A receiver that takes connections and never answers, and a queue of four spans before it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
        yield listener


async def test_a_receiver_that_does_not_answer_delays_nobody(settings: Settings, silent: socket.socket) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as (app, client):
            await execute(client, TYPENAME)
            connection, _ = silent.accept()  # the first span is on its way, and stays there
            for _ in range(MANY):
                await execute(client, TYPENAME)
            waiting = app.state.traces._processor._batch_processor._queue
            assert len(waiting) == waiting.maxlen == 4

    # the application has closed, and the receiver has still not answered
    assert [line["event"] for line in logs if line["event"] == "spans lost"] == ["spans lost"]
    assert connection.recv(1)
    connection.close()


async def test_a_dead_receiver_harms_nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{CLOSED}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")

    async with running(settings) as (_, client):
        for _ in range(MANY):
            await execute(client, TYPENAME)


async def test_one_that_refuses_harms_nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        receiver.status = 400
        monkeypatch.setenv(VARIABLE, receiver.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        async with running(settings) as (_, client):
            await execute(client, TYPENAME)
            await receiver.until(lambda: receiver.requests)
            receiver.status = 200
            await execute(client, TYPENAME)
            await receiver.until(lambda: receiver.received)

    assert [each.name for each in receiver.received] == ["query"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_is_left_is_sent_at_the_end(settings: Settings, clean_stores: None, tmp_path: Path, workers: str) -> None:
    with receiving() as receiver:
        variables = environment(settings, WORKERS=workers, SHUTDOWN_DELAY="0")
        variables |= {VARIABLE: receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_SERVICE_NAME": "wardrobe"}
        variables["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment.name=test"
        with serving("serve", folder=tmp_path, variables=variables) as server:
            for _ in range(MANY):
                assert httpx.post(f"{server.url}/graphql", json={"query": TYPENAME}).status_code == 200
            assert receiver.received == []
            assert server.stop() == 0, server.text()

    spans = receiver.named("query")
    assert len(spans) == MANY
    assert {each.resource["service.name"] for each in spans} == {"wardrobe"}
    assert {each.resource["deployment.environment.name"] for each in spans} == {"test"}
    pids = {each.resource["process.pid"] for each in spans}
    assert server.process.pid not in pids or workers == "1"
    assert len(pids) <= int(workers)


@pytest.mark.executed_once
async def test_what_is_not_sampled_is_not_sent(
    settings: Settings, clean_stores: None, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    asked = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async with running(settings) as (app, client):
        await create_catalog_item(app.state.stores)
        with observing(app.state.stores) as observed, structlog.testing.capture_logs() as logs:
            other = await client.post("/graphql", json={"query": NAMES})
            assert (observed.of_requests, observed.batches) == ([], [])  # nobody looks below the request
            await client.post("/graphql", json={"query": NAMES}, headers={"traceparent": asked})
            assert [batch.loader for batch in observed.batches] == ["catalog_items"]

    assert {each.ids[0] for each in receiver.received} == {"0af7651916cd43dd8448eb211c80319c"}
    assert {"query", "load catalog_items"} < {each.name for each in receiver.received}
    assert int(other.headers["traceresponse"][-2:], 16) & 1 == 0  # the flag of what is sampled
    lines = [line["trace_id"] for line in logs if line["event"] == "request"]
    assert lines == [other.headers["traceresponse"].split("-")[1], "0af7651916cd43dd8448eb211c80319c"]
    assert other.json()["data"]["catalogItems"]["nodes"]


@pytest.mark.executed_once
async def test_events_that_are_not_sampled_are_not_sent(
    settings: Settings, clean_stores: None, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    async with running(settings) as (app, _), listening(app) as port, followed(port, CHANGES) as events:
        with observing(app.state.stores) as observed:
            await create_catalog_item(app.state.stores)
            assert (await events.next())["kind"] == "CREATED"
            assert (observed.of_requests, observed.batches) == ([], [])  # nobody looks below the event
            assert observed.calls  # what the feed reads is nobody's

    assert receiver.received == []


@pytest.mark.executed_once
async def test_what_is_not_sampled_is_explained_all_the_same(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    async with running(settings) as (_, client):
        answer = (await client.post("/graphql", json={"query": NAMES}, headers={"x-explain": "1"})).json()

    told = answer["extensions"]["explain"]
    assert [(call["target"], call["fields"]) for call in told["calls"]] == [
        ("catalog.catalog_items", ["Query.catalogItems"])
    ]
    assert receiver.received == []


async def test_there_are_none_where_they_are_switched_off(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    async with running(settings) as (app, client):
        response = await client.post("/graphql", json={"query": TYPENAME})
        assert app.state.traces is None
        assert not app.state.stores.calls.observers

    assert "traceresponse" not in response.headers
    assert receiver.requests == 0


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "wardrobe"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
    ],
)
def test_the_standard_variables_say_whether_there_are_traces(variables: dict[str, str], wanted: bool) -> None:
    assert are_wanted(variables) == wanted


async def test_what_stands_in_the_way_is_logged(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

    with structlog.testing.capture_logs() as logs:
        async with running(settings) as (app, client):
            await execute(client, TYPENAME)
            assert app.state.traces is None

    (line,) = [each for each in logs if each["event"] == "no traces"]
    assert line["reason"] == "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and only http/protobuf is spoken"


def test_without_the_extra_the_log_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    reason = obstacle({})

    assert reason is not None
    assert reason.endswith("is not installed: install the extra `otel`, fashion-wallet[otel]")


def test_nothing_of_it_is_imported_where_there_are_none() -> None:
    code = """import sys
import api.http.application, api.server.processes, api.commands.main
print([name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf", "requests"))])"""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}

    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]", done.stdout
