"""Generated operations over the schema of this API and real stores, as several viewers, on both executors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis_graphql import nodes

from api.accounts.auth import Auth
from api.config.settings import Settings
from api.fields.context import Context
from api.rights.viewer import ANONYMOUS, Viewer
from api.schema import DOMAINS, schema
from tests.execution.both import Both, standing_in
from tests.execution.minimising import parts_of
from tests.execution.operations import Operation, operations
from tests.execution.searching import Progress, draw
from tests.support import servers
from tests.support.graphql import gid
from tests.support.world import VIEWERS, World, living

DATES: Final = ("2026-01-01T12:00:00+00:00", "2030-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z")
LOOKERS: Final = ("admin", "owner", "admin", "maker", "anonymous", "admin", "premium")
"""Who asks, by turns; who may see little gets little but errors."""
TEXTS: Final = ("", "a", "Silk", "ada", "ada@example.com", "plain", "no such thing", "%_\\", "é\u0301")
SCHEMA: Final = schema._schema


def scalars_of(world: World) -> Mapping[str, st.SearchStrategy[Any]]:
    """Values that find something: ids that exist and ones that don't, small numbers, dates and texts."""
    kinds: tuple[Mapping[str, Any], ...] = (world.users, world.avatars, world.items, world.designs)
    ids = [gid(stored) for kind in kinds for _, stored in sorted(kind.items())]
    return {
        "ID": st.sampled_from([*ids, "", "no id", ids[0][:-2]]).map(nodes.String),
        "Int": st.sampled_from([1, 2, 3, 5, 20, 100, 2, 3, 5, 0, 101]).map(nodes.Int),
        "Float": st.sampled_from([0.0, 1.5, -1.0, 1e9]).map(nodes.Float),
        "String": st.sampled_from(TEXTS).map(nodes.String),
        "DateTime": st.sampled_from(DATES).map(nodes.String),
        "JSON": st.sampled_from(TEXTS).map(nodes.String),
    }


def fitting_to(world: World) -> Mapping[tuple[str, str], st.SearchStrategy[Any]]:
    """Ids of the type that a root field asks for, and the beginning of lists: one bad cursor makes everything null."""
    kinds: Mapping[str, Mapping[str, Any]] = {
        "user": world.users,
        "avatar": world.avatars,
        "catalogItem": world.items,
        "design": world.designs,
    }
    lists = ("users", "avatars", "catalogItems", "designs", "auditLog")
    return {(field, name): st.just(nodes.Null) for field in lists for name in ("after", "before")} | {
        (field, "id"): st.sampled_from([gid(stored) for _, stored in sorted(kind.items())]).map(nodes.String)
        for field, kind in kinds.items()
    }


def operations_over(world: World, *, mutation: bool) -> st.SearchStrategy[Operation]:
    """Queries or mutations over the world as it is now."""
    return operations(SCHEMA, scalars_of(world), mutation=mutation, fitting=fitting_to(world))


def drawn_for(world: World, examples: int, *, mutation: bool = False, seed_: int = 0) -> list[Operation]:
    """As many of them, nothing of which was executed yet."""
    found: list[Operation] = []
    draw(operations_over(world, mutation=mutation), examples, seed_, found.append)
    return found


async def difference(world: World, operation: Operation, viewer: str) -> str | None:
    """How the responses differ that this viewer gets, None where they don't. Limits are not asked."""
    both = Both("both")
    await both.execute(
        operation.document,
        root_value=None,
        context_value=context_of(world, viewer),
        variable_values=operation.variables,
        operation_name=None,
    )
    return both.differences[0] if both.differences else None


def context_of(world: World, viewer: str) -> Context:
    """The context of an operation that one of VIEWERS sends."""
    account = VIEWERS[viewer]
    user = None if account is None else world.users[account]
    auth: Auth = world.app.state.auth
    who = ANONYMOUS if user is None else Viewer(user.id, user.role)
    return Context(world.stores, world.settings, "a generated operation", DOMAINS, auth, who)


def search(seed_: int, progress: Progress, *, mutation: bool) -> None:
    """Compare operations over a world in servers of its own; differences are shown as small as they can be."""
    with servers.migrated_stores(password_hash_memory=32, password_hash_time=1) as settings_, standing_in("both"):
        asyncio.run(_search(settings_, seed_, progress, mutation=mutation))


async def _search(settings_: Settings, seed_: int, progress: Progress, *, mutation: bool) -> None:
    async with living(settings_) as world:
        loop = asyncio.get_running_loop()

        async def look_at(operation: Operation) -> None:
            viewer = LOOKERS[progress.operations % len(LOOKERS)]
            progress.step()
            if await difference(world, operation, viewer) is not None:
                progress.differ(f"as {viewer}:\n{await _smallest(world, operation, viewer)}")

        def wait_for(operation: Operation) -> None:
            asyncio.run_coroutine_threadsafe(look_at(operation), loop).result()

        # in a thread, since Hypothesis waits for nobody
        strategy = operations_over(world, mutation=mutation)
        await asyncio.to_thread(draw, strategy, progress.examples, seed_, wait_for)


async def _smallest(world: World, operation: Operation, viewer: str) -> str:
    """The difference of the smallest part of an operation that still shows one."""
    told, start = await difference(world, operation, viewer), 0
    while True:
        for index, smaller in enumerate(parts_of(SCHEMA, operation, start), start):
            if smaller is not None and (less := await difference(world, smaller, viewer)) is not None:
                operation, told, start = smaller, less, index
                break
        else:
            if not start:
                return str(told)
            start = 0
