"""Requests of several viewers that race with writes and failures, each compared with the same request alone.

The stores are behind proxies. Writes come one after the other, and make states; a request may have seen any state
between the last one that was acknowledged before it came and the last one that was begun before it was answered. Alone
it is asked of a second application, whose reads go by themselves and past the proxies, once for each of these states.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpx
from starlette.applications import Starlette

from api.config.settings import Settings
from api.stores.coalescing import Coalescer
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.failures.proxies import Proxy, proxying, through
from tests.support.failures.stepping import until
from tests.support.graphql import gid
from tests.support.signing_in import access_token, open_session, with_token

POSTGRES: Final = "PostgreSQL"
MONGODB: Final = "MongoDB"
PATIENCE: Final = 60.0
"""Seconds until a test fails that waits for something. No limit of the application is shorter."""
PEOPLE: Final[Mapping[str, str]] = {"ada": "user", "ben": "user", "eve": "premium", "root": "admin", "zoe": "user"}
VIEWERS: Final = ("anonymous", "ada", "ben", "eve", "root")
DESIGNS: Final[Mapping[str, str]] = {"evening": "ada", "secret": "ada", "morning": "ben", "spoilt": "zoe"}
"""Designs by name, and whose they are. `spoilt` is a draft whose answers a test may make unreadable."""
SPOILT: Final = b"name\0\x07\0\0\0spoilt\0"
"""The name of that design in an answer of MongoDB, after the type of the value."""
SPOILING: Final = (b"\x02" + SPOILT, b"\x6e" + SPOILT)
"""A type that there is not."""

QUERIES: Final[Mapping[str, str]] = {
    "name": "{ design(id: %(design)s) { id name } }",
    "whole": """{ design(id: %(design)s) { id name version status owner { id firstName email }
        layers { layerId catalogItem { id name } } } }""",
    "owner": "{ design(id: %(design)s) { id owner { id firstName } } }",
    "two": "{ a: design(id: %(design)s) { id name } b: design(id: %(other)s) { id name status } }",
    "list": "{ designs(first: 10) { totalCount nodes { id name status owner { id firstName email } } } }",
    "names": "{ designs(first: 10) { nodes { id name } } }",
    "newest": "{ designs(first: 1) { nodes { id } } }",
    "owned": """{ node(id: %(user)s) { id ... on User { firstName email
        designs(first: 5) { totalCount nodes { id name owner { id firstName } } } } } }""",
}

Leaves = dict[tuple[str, ...], Any]


@dataclass(frozen=True)
class Question:
    """What is asked, by whom, about which design."""

    viewer: str
    query: str
    design: str

    @property
    def is_spoilt(self) -> bool:
        """Whether its answer has the unreadable design in it."""
        everything = self.viewer == "root" and self.query in ("list", "names", "newest")
        return everything or (self.design == "spoilt") or (self.query == "two" and self.design == "morning")


@dataclass
class Request:
    """A request under way, or answered: between which states, and whether something went wrong meanwhile."""

    question: Question
    since: int
    task: asyncio.Task[None] | None = None
    until: int | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    shaken: bool = False
    """Whether connections were reset."""
    spoilt: bool = False
    """Whether answers were made unreadable."""
    alone: dict[int, Leaves] = field(default_factory=dict)


@dataclass
class Race:
    """Two applications on the same stores, one of them behind proxies, and the requests that it is answering."""

    app: Starlette
    here: dict[str, httpx.AsyncClient]
    elsewhere: dict[str, httpx.AsyncClient]
    proxies: dict[str, Proxy]
    ids: dict[str, str]
    versions: dict[str, int]
    acknowledged: int = 0
    begun: int = 0
    is_shaken: bool = False
    requests: list[Request] = field(default_factory=list)
    compared: int = 0

    @property
    def coalescer(self) -> Coalescer:
        coalescer: Coalescer | None = self.app.state.stores.coalescer
        assert coalescer is not None
        return coalescer

    @property
    def coalescers(self) -> tuple[Coalescer, Coalescer]:
        """That of reads, and that of whole answers."""
        answers: Coalescer | None = self.app.state.stores.answers
        assert answers is not None
        return self.coalescer, answers

    @property
    def is_stalled(self) -> bool:
        return any(proxy.is_stalled for proxy in self.proxies.values())

    def ask(self, question: Question) -> None:
        request = Request(question, self.acknowledged, spoilt=any(self.proxies[MONGODB].rewritten))
        request.task = asyncio.get_running_loop().create_task(self._send(request))
        self.requests.append(request)

    async def _send(self, request: Request) -> None:
        request.answer = await self._answer(self.here, request.question)
        request.until = self.begun

    async def _answer(self, clients: Mapping[str, httpx.AsyncClient], question: Question) -> dict[str, Any]:
        names = [*DESIGNS]
        other = names[names.index(question.design) - 1 if question.design != "evening" else 2]
        given = {
            "design": f'"{self.ids[question.design]}"',
            "other": f'"{self.ids["spoilt" if question.design == "morning" else other]}"',
            "user": f'"{self.ids[DESIGNS[question.design]]}"',
        }
        query = QUERIES[question.query] % given
        response = await clients[question.viewer].post("/graphql", json={"query": query})
        answer: dict[str, Any] = response.json()
        return answer

    async def write(self, design: str, change: str, *, here: bool) -> None:
        """Change a design or its owner, and keep what was answered in the state before."""
        await self.compare()
        owner = DESIGNS[design]
        clients = self.here if here and not self.is_stalled and not self.is_shaken else self.elsewhere
        given = {"id": self.ids[design], "expectedVersion": self.versions[design]}
        match change:
            case "person":
                name, given = "updateProfile", {"firstName": f"{owner} {self.begun}"}
            case "design":
                name, given = "updateDesign", {**given, "name": f"{design} {self.begun}"}
            case _:
                name = change
        kind = name[0].upper() + name[1:]
        written = "design { version }" if "expectedVersion" in given else ""
        mutation = f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ {written} errors {{ code }} }} }}"
        self.begun += 1
        response = await clients[owner].post("/graphql", json={"query": mutation, "variables": {"input": given}})
        payload = response.json()["data"][name]
        assert payload["errors"] == [], (change, payload)
        if written:
            self.versions[design] = payload["design"]["version"]
        self.acknowledged = self.begun

    def spoil(self, *, on: bool) -> None:
        """Make the answers unreadable that have the spoilt design in them, or not any more."""
        self.proxies[MONGODB].rewritten = SPOILING if on else (b"", b"")
        for request in self.requests:
            request.spoilt |= on

    def reset(self, store: str) -> None:
        """Reset every connection to a store."""
        self.proxies[store].reset()
        self.is_shaken = True
        for request in self.requests:
            request.shaken |= request.until is None

    def leave(self, number: int) -> None:
        """Cancel a request that is under way."""
        waiting = [request for request in self.requests if request.until is None]
        if waiting:
            request = waiting[number % len(waiting)]
            assert request.task is not None
            request.task.cancel()
            self.requests.remove(request)

    async def go_on(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def send_off(self, questions: Sequence[Question]) -> None:
        """Ask while answers are kept back, and return when what is asked first is on its way."""
        for proxy in self.proxies.values():
            proxy.hold()
        for question in questions:
            self.ask(question)
        await self.go_on(10)
        await until(lambda: not any(kind.waiting for each in self.coalescers for kind in each._kinds.values()))

    def thaw(self) -> None:
        for proxy in self.proxies.values():
            proxy.thaw()

    async def settle(self) -> None:
        """Let everything be answered, and compare it."""
        self.thaw()
        with anyio.fail_after(PATIENCE):
            await asyncio.gather(*(request.task for request in self.requests if request.task is not None))
        self.spoil(on=False)
        await self.compare()
        if self.is_shaken:  # the first one finds out, and the pools drop their other connections
            self.is_shaken = False
            await self._answer(self.here, Question("anonymous", "whole", "evening"))
        assert [each._kinds for each in self.coalescers] == [{}, {}]

    async def compare(self) -> None:
        """Ask each question alone in the present state, and compare those that are answered."""
        alone: dict[Question, Leaves] = {}
        for request in self.requests:
            if request.until is None or request.until >= self.acknowledged:
                question = request.question
                if question not in alone:
                    body = await self._answer(self.elsewhere, question)
                    assert "errors" not in body, body
                    alone[question] = dict(_leaves(body["data"]))
                request.alone[self.acknowledged] = alone[question]
        for request in [request for request in self.requests if request.until is not None]:
            _require_equal(request)
            self.requests.remove(request)
            self.compared += 1


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value with its path, in which objects of lists are named by their ids."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, each.get("id") or each.get("layerId") or str(index)))
        yield (*path, "length"), len(value)
    else:
        yield path, value


def _require_equal(request: Request) -> None:
    """Each root field is as in one of the states; what is read after it may be of another one of them."""
    states = [
        request.alone[state] for state in range(request.since, (request.until or 0) + 1) if state in request.alone
    ]
    assert states, request
    if errors := request.answer.get("errors"):
        codes = {error["extensions"]["code"] for error in errors}
        excused = {"STORE_UNAVAILABLE"} if request.shaken else set()
        excused |= {"INTERNAL"} if request.spoilt and request.question.is_spoilt else set()
        assert codes <= excused, request
        return
    found = dict(_leaves(request.answer["data"]))
    for root in {path[0] for path in found}:
        theirs = {path: value for path, value in found.items() if path[0] == root}
        shapes = [{path for path in state if path[0] == root} for state in states]
        assert theirs.keys() in shapes, request
    for path, value in found.items():
        assert any(path in state and state[path] == value for state in states), (path, value, request)


@contextlib.asynccontextmanager
async def racing(settings: Settings) -> AsyncIterator[Race]:
    """A race on empty stores."""
    async with contextlib.AsyncExitStack() as stack:
        assert settings.postgres_url is not None
        assert settings.mongodb_url is not None
        urls = {POSTGRES: settings.postgres_url, MONGODB: settings.mongodb_url}
        proxies = {
            store: await stack.enter_async_context(proxying(urlsplit(url).port or 0)) for store, url in urls.items()
        }
        patient: dict[str, Any] = {
            **dict.fromkeys(("statement_timeout", "execution_timeout", "breaker_patience"), 2 * PATIENCE),
            **dict.fromkeys(("mongodb_selection_timeout", "postgres_connect_timeout"), PATIENCE),
            "breaker_failures": 1000,
        }
        behind = {
            "database_url": through(urls[POSTGRES], proxies[POSTGRES].port),
            "mongodb_uri": through(urls[MONGODB], proxies[MONGODB].port),
        }
        app, client = await stack.enter_async_context(running(settings, **patient, **behind))
        _, alone = await stack.enter_async_context(running(settings, **patient, coalescing=False))
        race = Race(app, {"anonymous": client}, {"anonymous": alone}, proxies, {}, {})
        stores = app.state.stores
        for name, role in PEOPLE.items():
            user = await create_user(stores, role=role, first_name=name)
            race.ids[name] = gid(user)
            token = access_token(settings, user.id, await open_session(stores, user.id))
            for clients in (race.here, race.elsewhere):
                clients[name] = await stack.enter_async_context(with_token(clients["anonymous"], token))
            for design in (design for design, owner in DESIGNS.items() if owner == name):
                item = await create_catalog_item(stores, name=f"item of {design}")
                status = "published" if design in ("evening", "morning") else "draft"
                made = await create_design(
                    stores, user_id=user.id, name=design, status=status, layers=[layer_of(item.id)]
                )
                race.ids[design], race.versions[design] = gid(made), 1
        yield race
