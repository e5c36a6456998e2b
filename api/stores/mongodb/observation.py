"""Commands that are observed: the driver's by its events, and direct reads around their exchange."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from pymongo import monitoring

from api.log import CommandCounter
from api.stores.calls import Calls

if TYPE_CHECKING:
    from api.stores.mongodb.direct_reads import DirectRead
    from api.stores.mongodb.steady_client import SteadyClient

_SAID: Final = frozenset({"ordered", "upsert", "multi", "new", "unique", "singleBatch"})
"""Options whose booleans are no values of anybody's."""
_LEFT_OUT: Final = frozenset(
    {"lsid", "$db", "$clusterTime", "$readPreference", "apiVersion", "apiStrict", "apiDeprecationErrors", "txnNumber"}
    | {"maxTimeMS", "autocommit", "startTransaction", "readConcern", "writeConcern"}
)
"""What the driver adds to each command."""
_PARTS: Final = frozenset({"q", "u"})
"""Filter and change of one of several updates."""
_DEEPEST: Final = 30


def shape(command: Mapping[str, Any]) -> str:
    """A command as JSON without its values, but for the name of its collection: `?` stands for each, and for a list of
    values."""
    items = iter(command.items())
    name, target = next(items, ("", None))
    said = {name: target if isinstance(target, str) else "?"}
    said |= {key: _without_values(value, key, 0) for key, value in items if key not in _LEFT_OUT}
    return orjson.dumps(said).decode()


def _without_values(value: Any, name: str, depth: int) -> Any:
    """What is shown in the place of a value under this name. Below a field's name, only operators are shape: an object
    without any is a value, whose keys may be anybody's."""
    if depth >= _DEEPEST:
        return "?"
    if isinstance(value, Mapping):
        is_shape = not depth or name in _PARTS or name.startswith("$") or any(str(key).startswith("$") for key in value)
        return (
            {str(key): _without_values(part, str(key), depth + 1) for key, part in value.items()} if is_shape else "?"
        )
    if isinstance(value, list | tuple):
        parts = [_without_values(part, name, depth) for part in value]
        if all(part == "?" for part in parts):
            return "?" if parts else []
        return parts if len(parts) < 2 or any(part != parts[0] for part in parts) else [parts[0], "..."]
    return value if name in _SAID and isinstance(value, bool) else "?"


def collection_of(command: Mapping[str, Any]) -> str | None:
    """The collection that a command names; None where it has none."""
    name = next(iter(command), None)
    if name is None:
        return None
    target = command.get("collection") if name == "getMore" else command[name]
    return target if isinstance(target, str) else None


def documents_of(reply: Mapping[str, Any]) -> int | None:
    """How many documents a reply has, or says to have written."""
    cursor = reply.get("cursor")
    if isinstance(cursor, Mapping):
        batch = cursor.get("firstBatch", cursor.get("nextBatch"))
        return len(batch) if isinstance(batch, list) else None
    if "value" in reply:
        return int(reply["value"] is not None)
    count = reply.get("n")
    return count if isinstance(count, int) else None


class ObservedMongo(monitoring.CommandListener):
    """Hooks of some clients. Commands of the driver's that are under way are known by the numbers of their requests."""

    def __init__(self, calls: Calls, *clients: SteadyClient) -> None:
        self._calls, self._clients = calls, clients
        self._commands: dict[tuple[int, Any], tuple[Mapping[str, Any], float]] = {}
        self._counters = {id(each): each for client in clients for each in counters_of(client.options.event_listeners)}
        calls.hooks.append(self.hook)

    def hook(self, observed: bool) -> None:
        """Begin or end to observe."""
        for client in self._clients:
            client.observe(partial(self._around, client) if observed else None)
        for counter in self._counters.values():
            counter.observers = (self,) if observed else ()
        self._commands.clear()

    async def _around(self, client: SteadyClient, read: DirectRead, command: Mapping[str, Any]) -> dict[str, Any]:
        began, error, reply = time.perf_counter(), None, None
        try:
            reply = await client.run_directly(read)
        except BaseException as failure:
            error = failure
            raise
        else:
            return reply
        finally:
            self._ended(command, began, reply, error)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command:  # else it is one that signs in
            self._commands[event.request_id, event.connection_id] = event.command, time.perf_counter()

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        known = self._commands.pop((event.request_id, event.connection_id), None)
        if known is not None:
            self._ended(*known, event.reply, None)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        known = self._commands.pop((event.request_id, event.connection_id), None)
        if known is not None:
            self._ended(*known, None, CommandFailed(event.failure))

    def _ended(
        self,
        command: Mapping[str, Any],
        began: float,
        reply: Mapping[str, Any] | None,
        error: BaseException | None,
    ) -> None:
        what = next(iter(command)), collection_of(command)
        rows = None if reply is None else documents_of(reply)
        times = began, time.perf_counter()
        self._calls.ended("MongoDB", what, partial(shape, command), times, rows, error, command)


def counters_of(listeners: Any) -> list[CommandCounter]:
    """What counts a client's commands."""
    return [each for each in listeners if isinstance(each, CommandCounter)]


class CommandFailed(Exception):
    """A command that the driver reports as failed; `code_name` is MongoDB's name of the reason."""

    def __init__(self, failure: Mapping[str, Any]) -> None:
        self.code_name = str(failure.get("codeName") or failure.get("errtype") or type(failure).__name__)
        super().__init__(self.code_name)
