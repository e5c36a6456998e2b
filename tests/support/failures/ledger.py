"""A ledger of writes through HTTP: what was acknowledged, what was refused, and what nobody knows.

Writers keep it while stores and the application fail; at the end it is compared with what is stored.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from uuid import UUID

import httpx

from api.stores.stores import Stores
from models import Avatar
from tests.support.factories.avatars import avatars
from tests.support.factories.designs import designs

CREATE_AVATAR: Final = "mutation ($input: CreateAvatarInput!) { it: createAvatar(input: $input) { errors { code } } }"
CREATE_DESIGN: Final = """mutation ($input: CreateDesignInput!) {
  it: createDesign(input: $input) { design { id version } errors { code } } }"""
UPDATE_DESIGN: Final = """mutation ($input: UpdateDesignInput!) {
  it: updateDesign(input: $input) { design { id version } errors { code } } }"""
READ_DESIGN: Final = "query ($id: ID!) { design(id: $id) { version owner { id } } }"
UNCERTAIN: Final = frozenset({"STORE_UNAVAILABLE", "TIMEOUT"})
"""Codes of a mutation that may have happened."""


THINKING: Final = 0.01
"""Seconds before a writer goes on after a failure."""
READING: Final = 0.05
"""Seconds before a reader reads again."""
NEWEST: Final = 8
"""Designs that a reader reads at once: more than go without waiting for each other."""


class Outcome(Enum):
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Line:
    """A design or an avatar. `versions` are those that a design may have, by its name then; empty for none.

    `id` is the global id of a design, once it is known.
    """

    created: Outcome
    versions: dict[int, set[str]] = field(default_factory=dict)
    id: str = ""


@dataclass
class Ledger:
    """What the writers know. `surprises` are answers that nobody should get."""

    avatars: dict[str, Outcome] = field(default_factory=dict)
    designs: dict[str, Line] = field(default_factory=dict)
    counts: Counter[Outcome] = field(default_factory=Counter)
    surprises: list[Any] = field(default_factory=list)
    reads: int = 0
    joined: int = 0
    """Statements of these reads that went with those of others."""

    async def send(
        self, client: httpx.AsyncClient, url: str, query: str, given: dict[str, Any], key: str | None = None
    ) -> tuple[Outcome, dict[str, Any]]:
        """The outcome of one mutation, and its payload if it was acknowledged."""
        outcome, payload = await self._send(client, url, query, given, {"idempotency-key": key} if key else {})
        self.counts[outcome] += 1
        if outcome is not Outcome.ACKNOWLEDGED:
            await asyncio.sleep(THINKING)
        return outcome, payload

    async def _send(
        self, client: httpx.AsyncClient, url: str, query: str, given: dict[str, Any], headers: dict[str, str]
    ) -> tuple[Outcome, dict[str, Any]]:
        try:
            answer = await client.post(
                f"{url}/graphql", json={"query": query, "variables": {"input": given}}, headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Outcome.REFUSED, {}  # nobody got it
        except httpx.TransportError:
            return Outcome.UNKNOWN, {}
        body = answer.json()
        codes = {error["extensions"]["code"] for error in body.get("errors", ())}
        if answer.status_code == 503 and codes == {"STORE_UNAVAILABLE"} and "data" not in body:
            return Outcome.REFUSED, {}  # before anything was executed
        if answer.status_code == 409 and codes <= {"IDEMPOTENCY_INTERRUPTED", "IDEMPOTENCY_IN_PROGRESS"}:
            return Outcome.UNKNOWN, {}
        payload = (body.get("data") or {}).get("it")
        if payload is not None and not codes:
            if payload["errors"]:
                return Outcome.REFUSED, {}
            return Outcome.ACKNOWLEDGED, payload
        if codes == {"CONFLICT"}:
            return Outcome.REFUSED, {}
        if payload is None and codes and codes <= UNCERTAIN:
            return Outcome.UNKNOWN, {}
        self.surprises.append((answer.status_code, body))
        return Outcome.UNKNOWN, {}

    async def look(self, client: httpx.AsyncClient, url: str, line: Line) -> None:
        """Read a design, which must be no older than the last write that was acknowledged before."""
        acknowledged = min(line.versions)
        try:
            answer = await client.post(f"{url}/graphql", json={"query": READ_DESIGN, "variables": {"id": line.id}})
        except httpx.TransportError:
            return
        body = answer.json()
        if codes := {error["extensions"]["code"] for error in body.get("errors", ())}:
            if not codes <= UNCERTAIN:
                self.surprises.append((answer.status_code, body))
            return
        self.reads += 1
        self.joined += body.get("extensions", {}).get("statements", {}).get("joined", 0)
        design = body["data"]["design"]
        if design is None or design["version"] < acknowledged:
            self.surprises.append((f"at least version {acknowledged}", body))


async def read(ledger: Ledger, client: httpx.AsyncClient, url: list[str], stop: asyncio.Event) -> None:
    """Read the designs that were made last, all at once and again and again, until told to stop."""
    while not stop.is_set():
        lines = [line for line in [*ledger.designs.values()][-NEWEST:] if line.id]
        await asyncio.gather(*(ledger.look(client, url[0], line) for line in lines))
        await asyncio.sleep(READING)


async def write(
    ledger: Ledger, client: httpx.AsyncClient, url: list[str], name: str, stop: asyncio.Event, *, keys: bool
) -> None:
    """Make avatars and designs and rename the designs, until told to stop. `url` holds the application's address.

    With `keys`, designs are made with an idempotency key, and tried again until their answer is there.
    """
    number = 0
    while not stop.is_set():
        number += 1
        avatar = f"{name} avatar {number}"
        ledger.avatars[avatar], _ = await ledger.send(client, url[0], CREATE_AVATAR, {"name": avatar})
        await _design(ledger, client, url, f"{name} design {number}", stop, keys)


async def _design(
    ledger: Ledger, client: httpx.AsyncClient, url: list[str], name: str, stop: asyncio.Event, keys: bool
) -> None:
    """A design that is made and renamed."""
    line = ledger.designs[name] = Line(Outcome.UNKNOWN)
    key = name.replace(" ", "-") if keys else None
    while True:
        line.created, payload = await ledger.send(client, url[0], CREATE_DESIGN, {"name": name}, key=key)
        if line.created is Outcome.ACKNOWLEDGED:
            break
        if key is None:
            return
        if stop.is_set():
            # an earlier attempt may have written: that this one was refused says nothing of it
            line.created = Outcome.UNKNOWN
            return
    id, version = payload["design"]["id"], payload["design"]["version"]
    line.versions[version] = {name}
    line.id = id
    for step in range(3):
        new = f"{name}, renamed {step}"
        given = {"id": id, "name": new, "expectedVersion": version}
        outcome, _ = await ledger.send(client, url[0], UPDATE_DESIGN, given)
        if outcome is Outcome.UNKNOWN:
            line.versions[version + 1] = {new}
            return  # nobody knows the version to expect
        if outcome is Outcome.ACKNOWLEDGED:
            version += 1
            line.versions = {version: {new}}


async def differences(ledger: Ledger, stores: Stores, user_id: UUID) -> list[str]:
    """What the stores have otherwise than the ledger says."""
    found = Counter(avatar.name for avatar in await avatars(stores).find_all(Avatar.user_id == user_id))
    wrong = [
        f"{outcome.value}, but there {found[name]} times: {name}"
        for name, outcome in ledger.avatars.items()
        if not _fits(outcome, found[name])
    ]
    wrong += [f"nobody made it: {name}" for name in found if name not in ledger.avatars]
    stored: dict[str, list[tuple[int, str]]] = {}
    for design in await designs(stores).find_all({"userId": str(user_id)}):
        stored.setdefault(design.name.partition(", ")[0], []).append((design.version, design.name))
    for name, line in ledger.designs.items():
        there = stored.get(name, [])
        if not _fits(line.created, len(there)):
            wrong.append(f"{line.created.value}, but there {len(there)} times: {name}")
        elif line.versions and not all(full in line.versions.get(version, ()) for version, full in there):
            wrong.append(f"is {there}, should be {line.versions}: {name}")
    wrong += [f"nobody made it: {name}" for name in stored if name not in ledger.designs]
    return wrong


def _fits(outcome: Outcome, count: int) -> bool:
    return count in {Outcome.ACKNOWLEDGED: {1}, Outcome.REFUSED: {0}, Outcome.UNKNOWN: {0, 1}}[outcome]
