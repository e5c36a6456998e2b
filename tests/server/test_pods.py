"""Pods that are replaced as Kubernetes does it: no client asks /readyz, and whoever sends them requests learns late."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from api.config.settings import Settings
from api.embedded.daemons import free_port
from tests.support.kubernetes.kustomize import build, pods
from tests.support.processes import COMMAND, ROOT
from tests.support.servers import Server, environment, serving, wait_until
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

ITEMS = {"query": "{ catalogItems(first: 1) { nodes { name } } }"}
NO_ITEMS: dict[str, Any] = {"data": {"catalogItems": {"nodes": []}}}
BASE = ROOT / "deploy/kubernetes/base"
PRE_STOP = 1.0
"""Seconds between the deletion of a pod and its SIGTERM; the manifest has more, for slower nodes."""


@dataclass
class Service:
    """A Service with its clients. `endpoints` are the pods that a node sends new connections to; a connection that is
    kept stays with its pod."""

    endpoints: list[str]
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    phases: dict[str, str] = field(default_factory=dict)
    _turns: Any = field(default_factory=itertools.count)

    @contextlib.asynccontextmanager
    async def running(self, *, keeping: int, anew: int) -> AsyncIterator[None]:
        """With clients that keep their connection until it is closed, and some that open one for each request."""
        ends = asyncio.Event()
        clients = [asyncio.create_task(self._client(ends, keeps=number < keeping)) for number in range(keeping + anew)]
        try:
            yield
        finally:
            ends.set()
            await asyncio.gather(*clients)

    async def _client(self, ends: asyncio.Event, *, keeps: bool) -> None:
        while not ends.is_set():
            pod = self.endpoints[next(self._turns) % len(self.endpoints)]
            limits = httpx.Limits(max_connections=1)
            async with httpx.AsyncClient(base_url=pod, timeout=30, limits=limits) as connection:
                closes = False
                while not closes and not ends.is_set():
                    closes = await self._ask(connection, pod) or not keeps

    async def _ask(self, connection: httpx.AsyncClient, pod: str) -> bool:
        """Send a request; whether the pod closes the connection after it."""
        try:
            answer = await connection.post("/graphql", json=ITEMS)
        except httpx.TransportError as error:
            self.lost.append(f"{self.phases.get(pod)}: {error!r}")
            return True
        if answer.status_code != 200 or answer.json() != NO_ITEMS:
            self.lost.append(f"{self.phases.get(pod)}: {answer.text}")
        self.answered[pod, self.phases.get(pod, "running")] += 1
        await pause()
        return bool(answer.headers.get("connection") == "close")

    async def until(self, pod: str, phase: str, more: int = 20) -> None:
        """Return once this pod has answered that many requests more in this phase."""
        enough = self.answered[pod, phase] + more
        with anyio.fail_after(60):
            while self.answered[pod, phase] < enough:
                await pause()


async def test_a_pod_that_is_replaced_loses_no_request(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    """For the whole of preStop some nodes still open connections to it, and half a second beyond it, when it has got
    SIGTERM already; kept connections stay until it closes them."""
    variables = environment(settings, SHUTDOWN_DELAY="2", SHUTDOWN_TIMEOUT="20")
    with contextlib.ExitStack() as stack:

        async def start(name: str) -> Server:
            folder = tmp_path / name
            folder.mkdir()
            context = serving("serve", "--port", "0", folder=folder, variables=variables)
            return await anyio.to_thread.run_sync(stack.enter_context, context)

        old = await start("old")
        service = Service([old.url])
        async with service.running(keeping=6, anew=2):
            await service.until(old.url, "running")
            new = await start("new")
            service.endpoints.append(new.url)  # it is ready
            await service.until(new.url, "running")

            service.phases[old.url] = "preStop"  # the pod is deleted; its endpoint goes from node to node
            await asyncio.sleep(PRE_STOP)
            service.phases[old.url] = "SIGTERM"
            stopping = asyncio.create_task(anyio.to_thread.run_sync(old.stop))
            await asyncio.sleep(0.5)
            service.endpoints.remove(old.url)  # the last node has learnt of it
            assert await stopping == 0
            await service.until(new.url, "running")

    assert service.lost == []
    assert all(service.answered[old.url, phase] for phase in ("running", "preStop", "SIGTERM"))


SEALED = """
    set -e
    mount --make-rprivate /
    mount -o remount,bind,ro /
    for place in {writable}; do mount -t tmpfs -o size=16m tmpfs "$place"; done
    cd {folder}
    exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs --bounding-set=-all {command}
"""
"""A root file system that can't be written to but for the volume at /tmp, and a user that may do nothing."""


def test_a_pod_writes_nothing_and_needs_no_rights(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    """As the security contexts of deploy/kubernetes have it, in a mount namespace of its own."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or subprocess.run(["unshare", "-m", "true"]).returncode:
        pytest.skip("needs root, util-linux, and the right to make a mount namespace")
    (template,) = (each for kind, each in pods(build(BASE)).items() if kind == "Deployment")
    assert settings.postgres_url is not None
    writable = [mount["mountPath"] for mount in template["spec"]["containers"][0]["volumeMounts"]]
    if any(Path(COMMAND).is_relative_to(place) for place in writable):
        pytest.skip("this checkout lies where the pod has an empty volume")
    port = free_port()
    variables = environment(
        settings, ENVIRONMENT="production", LOG_LEVEL="info", PORT=str(port), DATA_DIR="/nowhere", HOME="/home/nobody"
    )
    script = SEALED.format(
        writable=" ".join(writable),
        folder="/srv",
        user=template["spec"]["securityContext"]["runAsUser"],
        command=f"{COMMAND} serve",
    )
    for name in [name for name in variables if name.startswith("COVERAGE_")]:
        del variables[name]  # what is measured would be written to this folder
    output = tmp_path / "output.txt"
    with output.open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script], env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or '"ready"' in output.read_text(), "ready")
        assert process.poll() is None, output.read_text()
        assert httpx.post(f"{url}/graphql", json=ITEMS, timeout=30).json() == NO_ITEMS
        assert httpx.get(f"{url}/readyz", timeout=30).status_code == 200
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert "Read-only" not in output.read_text()
