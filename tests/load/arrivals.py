"""Visitors that come at a rate, however long the answers take, by locust's users, statistics and greenlets.

    python -m tests.load.arrivals plan.json

Prints as JSON what came of them. In a process of its own, since locust changes the standard library (gevent).
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import gevent
from locust import FastHttpUser
from locust.env import Environment
from websocket import create_connection

SHARES: Final = {"browse": 55, "search": 25, "edit": 15, "follow": 5}
"""Of a hundred visitors."""
SHED: Final = "shed"
_PATIENCE: Final = 30.0
"""Seconds that answers are waited for after the last visitor has come."""
_FOLLOWS: Final = 2.0
"""Seconds that somebody follows changes."""

_CATALOG: Final = """query browse($price: Int!) {
    catalogItems(first: 20, filter: {price: {gte: $price}}) {
        nodes { id name type category price isPremium thumbnailUrl properties { color material tags } }
        pageInfo { hasNextPage endCursor }
    }
}"""
_DESIGN: Final = """query look($id: ID!) {
    design(id: $id) {
        id name version metadata { tags description } owner { firstName } avatar { name }
        layers { layerId type position { x y z } catalogItem { id name thumbnailUrl } }
    }
}"""
_DESIGNS: Final = "{ designs(first: 10) { nodes { id name updatedAt owner { firstName } } pageInfo { endCursor } } }"
_SEARCH: Final = """query search($words: String!) {
    search(query: $words, first: 10) {
        edges { score node { ... on CatalogItem { id name } ... on Design { id name } } }
    }
}"""
_SUGGEST: Final = "query suggest($prefix: String!) { suggest(prefix: $prefix, first: 8) { text } }"
_CREATE: Final = (
    "mutation create($name: String!) { createDesign(input: {name: $name}) { design { id version } errors { code } } }"
)
_EDIT: Final = """mutation edit($id: ID!, $version: Int!, $name: String!) {
    updateDesign(input: {id: $id, expectedVersion: $version, name: $name}) { design { id version } errors { code } }
}"""
_FOLLOW: Final = "subscription { catalogItemsChanged { kind itemId resumeToken } }"


class Visitor(FastHttpUser):  # type: ignore[misc]  # which mypy doesn't know
    """Somebody with connections of their own, who does one thing at a time.

    `token` is an access token; None for somebody who isn't signed in. `design` is what they edit, once it is there.
    """

    abstract = True
    max_retries = 0  # a mutation that is sent twice would be done twice
    token: str | None = None
    design: Mapping[str, Any] | None = None

    def ask(self, kind: str, query: str, /, **variables: Any) -> dict[str, Any] | None:
        """The data of an operation; None where it was shed or has failed, which is counted by its name."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": query, "variables": variables}
        post = self.client.post
        with post("/graphql", json=body, headers=headers, name=kind, catch_response=True) as response:
            if response.status_code == 503 and "OVERLOADED" in (response.text or ""):
                response.request_meta["name"] = SHED
                response.success()
                return None
            answer = response.json() if response.status_code == 200 else {"errors": response.text}
            if answer.get("errors"):
                response.failure(f"{response.status_code}: {str(answer['errors'])[:300]}")
                return None
            data: dict[str, Any] = answer["data"]
            return data

    def edit(self) -> None:
        """Rename the own design; make it first, where there is none."""
        name, version = f"Design {random.randrange(10**6)}", 0
        if self.design is None:
            data, field = self.ask("edit", _CREATE, name=name), "createDesign"
        else:
            version, id = self.design["version"], self.design["id"]
            data, field = self.ask("edit", _EDIT, id=id, version=version, name=name), "updateDesign"
        if data is not None:
            if data[field]["errors"]:
                self.environment.stats.log_error("POST", "edit", f"{data[field]['errors']} for version {version}")
            self.design = data[field]["design"]


class Site:
    """Who visits: `plan` has the server's `url`, `tokens` of accounts, ids of `designs`, and `words`."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._kind: type[Visitor] = type("Guest", (Visitor,), {"host": plan["url"]})
        self.environment = Environment(user_classes=[self._kind])
        self.environment.create_local_runner()  # it keeps the statistics; visitors come by our own clock
        self._plan = plan
        self._strangers: list[Visitor] = []
        self._editors = [self._visitor(token) for token in plan["tokens"]]
        self._does: dict[str, Callable[[], None]] = {
            "browse": self.browse,
            "search": self.search,
            "edit": self.edit,
            "follow": self.follow,
        }

    def visit(self, kind: str) -> None:
        self._does[kind]()

    def browse(self) -> None:
        visitor, chance = self._stranger(), random.random()
        if chance < 0.5:
            visitor.ask("browse", _CATALOG, price=random.randrange(0, 20_000, 100))
        elif chance < 0.8:
            visitor.ask("browse", _DESIGN, id=random.choice(self._plan["designs"]))
        else:
            visitor.ask("browse", _DESIGNS)
        self._strangers.append(visitor)

    def search(self) -> None:
        visitor, words = self._stranger(), random.choice(self._plan["words"])
        if random.random() < 0.6:
            visitor.ask("search", _SEARCH, words=words)
        else:
            visitor.ask("search", _SUGGEST, prefix=words[:3])
        self._strangers.append(visitor)

    def edit(self) -> None:
        visitor = self._editors.pop() if self._editors else None
        if visitor is None:  # all of them are still waiting
            self._note("edit", 0.0, AssertionError("more editors at once than accounts"))
            return
        visitor.edit()
        self._editors.append(visitor)

    def follow(self) -> None:
        """Follow changes for a while, from the handshake on."""
        began, error = time.perf_counter(), None
        try:
            url = self._plan["url"].replace("http", "ws", 1) + "/graphql"
            connection = create_connection(url, timeout=_PATIENCE, subprotocols=["graphql-transport-ws"])
            try:
                connection.send(json.dumps({"type": "connection_init"}))
                assert json.loads(connection.recv()) == {"type": "connection_ack"}
                connection.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": _FOLLOW}}))
                event = json.loads(connection.recv())
                assert event["payload"]["data"]["catalogItemsChanged"]["kind"] == "STARTED", event
                seconds = time.perf_counter() - began
                gevent.sleep(_FOLLOWS)
                connection.send(json.dumps({"type": "complete", "id": "1"}))
            finally:
                connection.close()
        except Exception as raised:  # whatever it is, it is counted
            seconds, error = time.perf_counter() - began, raised
        self._note("follow", seconds, error)

    def _note(self, name: str, seconds: float, error: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type="POST", name=name, response_time=seconds * 1000, response_length=0, exception=error, context={}
        )

    def _stranger(self) -> Visitor:
        return self._strangers.pop() if self._strangers else self._visitor(None)

    def _visitor(self, token: str | None) -> Visitor:
        visitor: Visitor = self._kind(self.environment)
        visitor.token = token
        return visitor


class _Seconds:
    """What came of the requests that began in each second, as `[slowest in ms, shed, failed]`."""

    def __init__(self, environment: Environment, began: float) -> None:
        self.found: dict[int, list[float]] = {}
        self._began = began
        environment.events.request.add_listener(self._ended)

    def _ended(self, name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
        second = int(time.perf_counter() - response_time / 1000 - self._began)
        found = self.found.setdefault(second, [0.0, 0, 0])
        if exception is not None:
            found[2] += 1
        elif name == SHED:
            found[1] += 1
        else:
            found[0] = max(found[0], response_time)


def kinds(count: int | None = None) -> Any:
    """What visitors do, by chance; of `count` visitors, each kind has exactly its share."""
    if count is None:
        while True:
            yield random.choices(list(SHARES), list(SHARES.values()))[0]
    each = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * count / 100)))]
    random.shuffle(each)
    yield from each


def run(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Let visitors come at `rate` a second, for so many `seconds` or, where there are none, `count` of them.

    After the seconds they come as `then` says, which has a `rate` and `seconds`, too.
    """
    site, rate, then = Site(plan), float(plan["rate"]), plan.get("then")
    began = due = time.perf_counter()
    seconds = _Seconds(site.environment, began)
    late, visits, until = 0.0, [], plan.get("seconds", 0.0)
    for kind in kinds(plan.get("count")):
        due += random.expovariate(rate)
        if plan.get("count") is None and due - began > until:
            if then is None:
                break
            rate, until, then = float(then["rate"]), until + then["seconds"], None
        gevent.sleep(max(0.0, due - time.perf_counter()))
        late = max(late, time.perf_counter() - due)
        visits.append(gevent.spawn(site.visit, kind))
    came = time.perf_counter() - began
    gevent.joinall(visits, timeout=_PATIENCE)
    stats = site.environment.stats
    return {
        "seconds": came,
        "visitors": len(visits),
        "unanswered": sum(not each.ready() for each in visits),
        "late_ms": late * 1000,
        "by_second": seconds.found,
        "operations": {
            entry.name: {
                "count": entry.num_requests,
                "failed": entry.num_failures,
                "p50": entry.get_response_time_percentile(0.5),
                "p99": entry.get_response_time_percentile(0.99),
                "times": sorted(entry.response_times.items()),
            }
            for entry in stats.entries.values()
        },
        "errors": [f"{each.name}: {each.error} ({each.occurrences})" for each in stats.errors.values()],
    }


if __name__ == "__main__":
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text("utf-8")))))  # noqa: T201  what it is asked for
