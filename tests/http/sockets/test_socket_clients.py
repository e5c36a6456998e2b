"""Real clients over WebSocket and server-sent events: graphql-ws and graphql-sse, in Node.js."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.requests.npm import node_folder
from tests.support.servers import Server
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

PACKAGES: Final = ("graphql-ws@6.0.6", "graphql-sse@2.5.4", "graphql@16.11.0", "ws@8.18.3")


def one(data: Any) -> dict[str, Any]:
    return {"results": [{"data": data}], "error": None}


async def test_clients_of_others_work(server: Server, settings: Settings, stores: Stores, tmp_path: Path) -> None:
    folder = node_folder(tmp_path, Path(__file__).with_name("socket_clients.mjs"), *PACKAGES)
    async with httpx.AsyncClient(base_url=server.url) as anyone:
        ada, _ = await signed_in(anyone, stores, settings=settings, first_name="Someone")
    arguments = [f"{server.url}/graphql", ada.headers["authorization"]]

    run = await asyncio.to_thread(
        subprocess.run,
        ["node", "socket_clients.mjs", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    for client, before, name in (("graphql-ws", "Someone", "Ada"), ("graphql-sse", "Ada", "Bea")):
        conduct = report[client]
        assert conduct["viewer"] == one({"viewer": {"firstName": before}})
        assert conduct["mutation"] == one({"updateProfile": {"user": {"firstName": name}}})
        assert conduct["together"] == [one({f"a{each}": "Query"}) for each in range(20)]
        assert "GRAPHQL_VALIDATION_FAILED" in json.dumps(conduct["invalid"])
        assert conduct["after"] == one({"viewer": {"firstName": name}})
    assert report["refused"] == {"results": [], "error": 4403}
