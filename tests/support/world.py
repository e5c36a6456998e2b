"""A small world with something of everything, and everyone who looks at it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
from starlette.applications import Starlette

from api.accounts.auth import Auth
from api.config.settings import Settings
from api.http.application import create_app
from api.stores.stores import Stores
from documents import Design
from models import Avatar, CatalogItem, User
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute, gid
from tests.support.signing_in import client_of, with_token

PASSWORD: Final = "correct horse battery"
OPEN: Final = "without row-level security"
WALLED: Final = "with row-level security"
DELETED: Final = datetime(2026, 1, 2, tzinfo=UTC)
PUBLISHED: Final = datetime(2026, 1, 1, tzinfo=UTC)

ACCOUNTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ada": {"role": "user", "email_verified": True},
    "ben": {"role": "user"},
    "eve": {"role": "user"},
    "pia": {"role": "premium"},
    "bob": {"role": "brand"},
    "cleo": {"role": "brand"},
    "dora": {"role": "brand"},
    "root": {"role": "admin"},
    "idle": {"role": "user", "is_active": False},
    "gone": {"role": "user", "deleted_at": DELETED},
}
"""Ada and Ben design, Cleo and Dora offer items; Eve, Pia and Bob have nothing of their own. Idle may not sign in, and
has designed too; Gone is deleted, and a design was left behind."""

VIEWERS: Final[Mapping[str, str | None]] = {
    "anonymous": None,
    "user": "eve",
    "premium": "pia",
    "brand": "bob",
    "owner": "ada",
    "maker": "cleo",
    "admin": "root",
}
"""Who looks: strangers of each role, the owner of the first user's things, the maker of the first brand's, an admin."""


@dataclass
class World:
    """The application, its accounts, and what is theirs, by names."""

    app: Starlette
    settings: Settings
    anonymous: httpx.AsyncClient
    users: dict[str, User]
    clients: dict[str, httpx.AsyncClient]
    avatars: dict[str, Avatar]
    items: dict[str, CatalogItem]
    designs: dict[str, Design]

    @property
    def stores(self) -> Stores:
        stores: Stores = self.app.state.stores
        return stores

    def viewer(self, name: str) -> httpx.AsyncClient:
        """The client of one of VIEWERS, or of an account by its name."""
        account = VIEWERS.get(name, name)
        return self.anonymous if account is None else self.clients[account]

    async def sign_in_anew(self, name: str) -> httpx.AsyncClient:
        """A client of one of VIEWERS with a session of its own."""
        account = VIEWERS[name]
        if account is None:
            return self.anonymous
        return await client_of(self.anonymous, self.stores, self.users[account])

    async def user(self, **values: Any) -> User:
        """Another account, which signs in with PASSWORD."""
        return await create_user(self.stores, **{"password_hash": self.users["ada"].password_hash} | values)

    async def avatar(self, *, hidden: bool = False, **values: Any) -> Avatar:
        """Another avatar of Ada's, which a published design shows unless it is hidden."""
        avatar = await create_avatar(self.stores, **{"user_id": self.users["ada"].id} | values)
        if not hidden:
            await create_design(self.stores, user_id=avatar.user_id, avatar_id=avatar.id, status="published")
        return avatar

    async def item(self, *, hidden: bool = False, **values: Any) -> CatalogItem:
        """Another item of Cleo's, which is offered unless it is hidden."""
        defaults = {"created_by": self.users["cleo"].id, "is_active": not hidden}
        return await create_catalog_item(self.stores, **defaults | values)

    async def design(self, *, hidden: bool = False, **values: Any) -> Design:
        """Another design of Ada's with one layer: published, or a draft where it is hidden."""
        layers = [layer_of(self.items["plain"].id, id="base"), layer_of(self.items["dora's"].id, id="top")]
        status = "draft" if hidden else "published"
        return await create_design(
            self.stores, **{"user_id": self.users["ada"].id, "status": status, "layers": layers} | values
        )


SUBJECTS: Final[Mapping[str, Callable[[World], str]]] = {
    "User": lambda world: gid(world.users["ada"]),
    "Avatar": lambda world: gid(world.avatars["ada's worn"]),
    "CatalogItem": lambda world: gid(world.items["premium"]),
    "Design": lambda world: gid(world.designs["ada's complete"]),
}
"""Global ids of the objects that have a value in every field that can have one."""


@contextlib.asynccontextmanager
async def living(settings: Settings) -> AsyncIterator[World]:
    """The world in empty stores, for as long as the block lasts."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000")
        async with client:
            people = await _people(app)
            world = World(app, settings, client, people, {}, {}, {}, {})
            for name, user in people.items():
                world.clients[name] = await client_of(client, world.stores, user)
            await _furnish(world)
            yield world


@contextlib.asynccontextmanager
async def walled(world: World) -> AsyncIterator[World]:
    """The same world, seen through an application with row-level security."""
    app = create_app(world.settings.model_copy(update={"row_level_security": True}))
    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=world.anonymous.base_url)
        clients = {
            name: with_token(client, signed_in.headers["authorization"].removeprefix("Bearer "))
            for name, signed_in in world.clients.items()
        }
        async with client:
            yield dataclasses.replace(world, app=app, anonymous=client, clients=clients)


async def _people(app: Starlette) -> dict[str, User]:
    auth: Auth = app.state.auth
    stores: Stores = app.state.stores
    password_hash = await auth.passwords.hash(PASSWORD)
    people = {
        name: await create_user(
            stores, email=f"{name}@example.com", first_name=name.title(), password_hash=password_hash, **values
        )
        for name, values in ACCOUNTS.items()
    }
    root = people["root"].id
    for name in ("ada", "ben"):
        updated = await users(stores).update(people[name].id, {"created_by": root, "updated_by": root})
        assert updated is not None
        people[name] = updated
    return people


async def _furnish(world: World) -> None:
    stores, people = world.stores, {name: user.id for name, user in world.users.items()}
    await _avatars(world, people)
    await _items(world, people)
    items, avatars = {name: item.id for name, item in world.items.items()}, world.avatars
    for owner in ("ada", "ben"):
        worn, private = avatars[f"{owner}'s worn"].id, avatars[f"{owner}'s private"].id
        every = [layer_of(item, id=name) for name, item in items.items()]
        kinds: dict[str, dict[str, Any]] = {
            "published": {"status": "published", "avatar_id": worn, "layers": every},
            "draft": {"avatar_id": private, "layers": [layer_of(items["plain"])]},
            "archived": {"status": "archived", "avatar_id": worn, "layers": [layer_of(items["inactive"])]},
            "deleted": {
                "status": "published",
                "avatar_id": private,
                "layers": [layer_of(items["plain"])],
                "deleted_at": DELETED,
            },
        }
        for kind, values in kinds.items():
            world.designs[f"{owner}'s {kind}"] = await create_design(
                stores, user_id=people[owner], name=f"{owner} {kind}", metadata={"tags": [kind]}, **values
            )
    for owner in ("idle", "gone"):
        world.designs[f"{owner}'s published"] = await create_design(
            stores,
            user_id=people[owner],
            status="published",
            avatar_id=avatars["ada's deleted"].id,
            layers=[layer_of(items["deleted"])],
        )
    world.designs["ada's complete"] = await _complete(world)


async def _avatars(world: World, people: Mapping[str, UUID]) -> None:
    for owner in ("ada", "ben"):
        for kind in ("worn", "private", "deleted"):
            world.avatars[f"{owner}'s {kind}"] = await create_avatar(
                world.stores,
                user_id=people[owner],
                name=f"{owner} {kind}",
                is_default=kind == "worn",
                gender="female",
                measurements=dict.fromkeys(("height", "weight", "chest", "waist", "hips", "shoulderWidth"), 100.0),
                model_url="https://example.com/avatar.glb",
                thumbnail_url="https://example.com/avatar.png",
                deleted_at=DELETED if kind == "deleted" else None,
            )


async def _items(world: World, people: Mapping[str, UUID]) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "premium": {"is_premium": True},
        "inactive": {"is_active": False},
        "deleted": {"deleted_at": DELETED},
        "dora's": {"created_by": people["dora"]},
        "dora's inactive": {"created_by": people["dora"], "is_active": False},
        "dora's deleted": {"created_by": people["dora"], "deleted_at": DELETED},
        "nobody's": {"created_by": None},
    }
    for kind, values in kinds.items():
        world.items[kind] = await create_catalog_item(
            world.stores,
            name=kind,
            description="Soft",
            category="top",
            properties={
                **{"color": "red", "texture": "soft", "material": "silk", "patternType": "dots", "tags": [kind]},
                "sizes": {"M": {"chest": 101.0, "waist": 102.0, "hips": 103.0}},
            },
            asset_url="https://example.com/item.glb",
            thumbnail_url="https://example.com/item.png",
            price=100,
            **{"created_by": people["cleo"]} | values,
        )


async def _complete(world: World) -> Design:
    """A published design of Ada's with a value in every field, and a history in which everything happened."""
    item = world.items["plain"].id
    everything: dict[str, Any] = {"position": {"x": 1, "y": 2, "z": 3}, "rotation": 5, "scale": {"x": 1, "y": 2}}
    layers = [layer_of(item, id=id, color="red", **everything) for id in ("goes", "changes", "stays", "moves")]
    metadata = {
        "tags": ["complete"],
        "description": "Everything",
        "thumbnailUrl": "https://example.com/design.png",
        "canvasSize": {"width": 100, "height": 200},
    }
    design = await create_design(
        world.stores,
        user_id=world.users["ada"].id,
        avatar_id=world.avatars["ada's worn"].id,
        name="Complete",
        status="published",
        published_at=PUBLISHED,
        layers=layers,
        metadata=metadata,
    )
    operations: list[dict[str, Any]] = [
        {"remove": {"layerId": "goes"}},
        {"add": {"layer": {"id": "comes", "type": "FABRIC", "itemId": gid(world.items["plain"])}}},
        {"update": {"layerId": "changes", "color": "blue"}},
        {"move": {"layerId": "moves", "index": 0}},
    ]
    ada, id = world.viewer("owner"), gid(design)
    patch = "mutation ($input: ApplyDesignPatchInput!) { applyDesignPatch(input: $input) { errors { message } } }"
    await execute(ada, patch, input={"id": id, "expectedVersion": 1, "operations": operations})
    rename = "mutation ($input: UpdateDesignInput!) { updateDesign(input: $input) { errors { message } } }"
    await execute(ada, rename, input={"id": id, "expectedVersion": 2, "name": "Complete again"})
    return design
