"""The same answers, written by hand: Starlette, asyncpg, pymongo and orjson, a function an operation.

No GraphQL, no rights, limits, log or request ids; nothing is parsed, checked or planned. It is what is left when
everything is known beforehand: the floor that the API is compared with.

    python -m tests.benchmarks.baseline PORT        (DATABASE_URL and MONGODB_URI in the environment)
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from bson import ObjectId
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Document = dict[str, Any]

ITEMS: Final = """
    SELECT id, name, type, category, price, is_premium, thumbnail_url, properties, created_at
    FROM catalog.catalog_items WHERE deleted_at IS NULL AND is_active AND type = $1{created}
    ORDER BY created_at DESC, id DESC LIMIT $2"""
ITEMS_BY_ID: Final = (
    "SELECT id, name, thumbnail_url FROM catalog.catalog_items WHERE id = ANY($1) AND deleted_at IS NULL"
)
USERS_BY_ID: Final = "SELECT id, first_name, last_name FROM shared.users WHERE id = ANY($1) AND deleted_at IS NULL"
AVATARS_BY_ID: Final = "SELECT id, name, gender FROM avatar.avatars WHERE id = ANY($1) AND deleted_at IS NULL"
USERS: Final = """
    SELECT id, first_name FROM shared.users WHERE deleted_at IS NULL{created} ORDER BY created_at, id LIMIT $1"""
AVATARS_OF: Final = """
    SELECT page.* FROM unnest($1::uuid[]) AS owners (id), LATERAL (
        SELECT user_id, id, name FROM avatar.avatars
        WHERE user_id = owners.id AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $2) AS page"""
DESIGN: Final = {
    **dict.fromkeys(("name", "status", "version", "updatedAt", "userId", "avatarId", "createdAt"), 1),
    **{f"layers.{name}": 1 for name in ("id", "type", "position", "itemId")},
    **{"metadata.tags": 1, "metadata.description": 1},
}


class Baseline:
    """The open stores, and a handler an operation."""

    def __init__(self, pool: Any, designs: Any, database: Any) -> None:
        self._pool, self._designs, self._database = pool, designs, database
        self.handlers: Mapping[str, Callable[[Document], Awaitable[Document]]] = {
            "catalogPage": self.catalog_page,
            "designBoard": self.design_board,
            "userTree": self.user_tree,
            "oneDesign": self.one_design,
            "health": self.health,
        }

    async def catalog_page(self, variables: Document) -> Document:
        created, window = _created(" AND created_at >= $3 AND created_at < $4", variables)
        rows = await self._pool.fetch(ITEMS.format(created=created), "fabric", 51, *window)
        nodes = []
        for row in rows[:50]:
            properties = orjson.loads(row["properties"])
            category = row["category"]
            nodes.append(
                {
                    "id": _id("CatalogItem", row["id"]),
                    "name": row["name"],
                    "type": row["type"].upper(),
                    "category": category and category.upper(),
                    "price": row["price"],
                    "isPremium": row["is_premium"],
                    "thumbnailUrl": row["thumbnail_url"],
                    "properties": {
                        "color": properties.get("color"),
                        "material": properties.get("material"),
                        "texture": properties.get("texture"),
                        "tags": properties.get("tags", ()),
                    },
                }
            )
        return {"catalogItems": {"nodes": nodes, "pageInfo": _page_info(rows, 50, "created_at", "id")}}

    async def design_board(self, variables: Document) -> Document:
        where: Document = {"status": "published", "deletedAt": None}
        if window := _created("", variables)[1]:
            where["createdAt"] = dict(zip(("$gte", "$lt"), window, strict=True))
        sort = [("createdAt", -1), ("_id", -1)]
        found = await self._designs.find(where, DESIGN, sort=sort, limit=21, batch_size=21).to_list()
        nodes = await self._shaped(found[:20])
        return {"designs": {"nodes": nodes, "pageInfo": _page_info(found, 20, "createdAt", "_id")}}

    async def one_design(self, variables: Document) -> Document:
        key = base64.b64decode(variables["id"]).decode().removeprefix("Design:")
        where = {"_id": ObjectId(key), "status": "published", "deletedAt": None}
        found = await self._designs.find(where, DESIGN, limit=1).to_list()
        shaped = await self._shaped(found)
        return {"design": shaped[0] if shaped else None}

    async def _shaped(self, designs: list[Document]) -> list[Document]:
        items, owners, avatars = await asyncio.gather(
            self._by_id(ITEMS_BY_ID, (layer.get("itemId") for design in designs for layer in design["layers"])),
            self._by_id(USERS_BY_ID, (design["userId"] for design in designs)),
            self._by_id(AVATARS_BY_ID, (design.get("avatarId") for design in designs)),
        )
        nodes = []
        for design in designs:
            layers = []
            for layer in design["layers"]:
                item, position = items.get(layer.get("itemId")), layer["position"]
                layers.append(
                    {
                        "layerId": layer["id"],
                        "type": layer["type"].upper(),
                        "position": {"x": position["x"], "y": position["y"], "z": position["z"]},
                        "catalogItem": item
                        and {
                            "id": _id("CatalogItem", item["id"]),
                            "name": item["name"],
                            "thumbnailUrl": item["thumbnail_url"],
                        },
                    }
                )
            owner, avatar = owners.get(design["userId"]), avatars.get(design.get("avatarId"))
            nodes.append(
                {
                    "id": _id("Design", design["_id"]),
                    "name": design["name"],
                    "status": design["status"].upper(),
                    "version": design["version"],
                    "updatedAt": design["updatedAt"],
                    "layers": layers,
                    "metadata": {
                        "tags": design["metadata"].get("tags", ()),
                        "description": design["metadata"].get("description"),
                    },
                    "owner": owner
                    and {
                        "id": _id("User", owner["id"]),
                        "firstName": owner["first_name"],
                        "lastName": owner["last_name"],
                    },
                    "avatar": avatar
                    and {
                        "id": _id("Avatar", avatar["id"]),
                        "name": avatar["name"],
                        "gender": avatar["gender"].upper(),
                    },
                }
            )
        return nodes

    async def _by_id(self, statement: str, keys: Iterable[str | None]) -> dict[str | None, Any]:
        ids = {UUID(key) for key in keys if key is not None}
        return {str(row["id"]): row for row in await self._pool.fetch(statement, ids)} if ids else {}

    async def user_tree(self, variables: Document) -> Document:
        created, window = _created(" AND created_at >= $2 AND created_at < $3", variables)
        users = (await self._pool.fetch(USERS.format(created=created), 21, *window))[:20]
        ids = [user["id"] for user in users]
        avatars, designs = await asyncio.gather(self._pool.fetch(AVATARS_OF, ids, 6), self._designs_of(ids))
        avatars_of: dict[UUID, list[Document]] = {id: [] for id in ids}
        for row in avatars:
            avatars_of[row["user_id"]].append({"id": _id("Avatar", row["id"]), "name": row["name"]})
        nodes = [
            {
                "id": _id("User", user["id"]),
                "firstName": user["first_name"],
                "avatars": {"nodes": avatars_of[user["id"]][:5]},
                "designs": {"nodes": designs[str(user["id"])]},
            }
            for user in users
        ]
        return {"users": {"nodes": nodes}}

    async def _designs_of(self, owners: list[UUID]) -> dict[str, list[Document]]:
        pipeline: list[Document] = [
            {"$match": {"deletedAt": None}},
            {"$sort": {"createdAt": -1, "_id": -1}},
            {"$limit": 6},
            {"$project": {"name": 1, "status": 1}},
        ]
        lookup = {
            **{"from": "designs", "localField": "_id", "foreignField": "userId", "as": "found"},
            "pipeline": pipeline,
        }
        stages = [{"$documents": [{"_id": str(owner)} for owner in owners]}, {"$lookup": lookup}]
        cursor = await self._database.aggregate(stages, batchSize=1000)
        return {
            owner["_id"]: [
                {"id": _id("Design", found["_id"]), "name": found["name"], "status": found["status"].upper()}
                for found in owner["found"][:5]
            ]
            for owner in await cursor.to_list()
        }

    async def health(self, _: Document) -> Document:
        await asyncio.gather(self._pool.fetchval("SELECT 1"), self._database.command("ping"))
        return {"health": {"status": "HEALTHY"}}


def _id(kind: str, key: object) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


def _created(condition: str, variables: Document) -> tuple[str, list[datetime]]:
    """The condition with its two moments, where the variables have them."""
    if "since" not in variables:
        return "", []
    return condition, [datetime.fromisoformat(variables[name]) for name in ("since", "until")]


def _page_info(rows: Any, size: int, value: str, key: str) -> Document:
    cursor = None
    if rows:
        last = rows[:size][-1]
        moment: datetime = last[value]
        cursor = base64.urlsafe_b64encode(orjson.dumps([moment.isoformat(), str(last[key])])).decode()
    return {"hasNextPage": len(rows) > size, "endCursor": cursor}


async def _no_reset(connection: object) -> None:
    """Nothing was set that would have to be reset; the driver's own way is one more statement each time."""


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with (
        asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=10, max_size=30, server_settings={"jit": "off"}, reset=_no_reset
        ) as pool,
        AsyncMongoClient[Document](os.environ["MONGODB_URI"], tz_aware=True) as client,
    ):
        database = client[os.environ["MONGODB_URI"].rpartition("/")[2].partition("?")[0]]
        app.state.baseline = Baseline(pool, database["designs"], database)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        yield


async def answer(request: Request) -> Response:
    asked = orjson.loads(await request.body())
    data = await request.app.state.baseline.handlers[asked["operationName"]](asked["variables"])
    return Response(orjson.dumps({"data": data}), media_type="application/json")


if __name__ == "__main__":
    application = Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=lifespan)
    uvicorn.run(application, port=int(sys.argv[1]), log_level="warning", access_log=False)
