"""What one anonymous client can do to a server: attacks, and what each costs.

    python -m tests.attacks
    python -m tests.attacks --checkout ../before     # the same on another checkout, with its own .venv

Starts stores and `serve` as in production, sends each attack, and prints the longest wait of `/livez` meanwhile, by how
much the server's memory grew at most, the CPU time of the server and of PostgreSQL, and what the attack was answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
import orjson
import typer

from tests.benchmarks import bulk
from tests.benchmarks.points import cpu_of, parent_of
from tests.support.servers import environment, throwaway_stores, wait_until

ROOT: Final = Path(__file__).parent.parent
JSON: Final = {"content-type": "application/json"}
HEAD: Final = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
PATIENCE: Final = 60.0
"""Seconds that an attacker waits for an answer."""
START: Final = 150.0
"""Seconds that a server gets to start in, on a busy machine."""


class Target:
    """The server under attack."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, postgres: int) -> None:
        self.process, self.port, self.postgres = process, port, postgres

    def post(self, body: bytes, **headers: str) -> str:
        """The status of an answer, with the error's code or message."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", "/graphql", body, JSON | headers)
            response = connection.getresponse()
            content = response.read()
        except OSError as error:
            return type(error).__name__
        finally:
            connection.close()
        answered = orjson.loads(content)
        errors = answered[0].get("errors") if isinstance(answered, list) else answered.get("errors")
        code = errors[0]["extensions"] if errors else {}
        return " ".join(filter(None, (str(response.status), code.get("code"), code.get("limit"))))

    def connect(self, sent: bytes) -> socket.socket:
        """A connection on which this was sent, and of which nothing is read."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        with contextlib.suppress(OSError):
            made.sendall(sent)
        return made

    def alive(self) -> float:
        """Milliseconds that `/livez` takes."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/livez")
            connection.getresponse().read()
        connection.close()
        return (time.monotonic() - began) * 1000

    def memory(self) -> float:
        """Megabytes that the process occupies."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024

    def cpu(self) -> tuple[float, float]:
        """Milliseconds of the server's and of PostgreSQL's CPU."""
        return cpu_of(self.process.pid), cpu_of(self.postgres)


def graphql(query: str, **variables: Any) -> bytes:
    return orjson.dumps({"query": query, "variables": variables})


def texts(target: Target) -> str:
    """1: a text that takes long to normalise."""
    query = "mutation ($i: SignUpInput!) { signUp(input: $i) { errors { code } } }"
    email = "a" + "\u0301\u0316" * 35_000 + "@x.test"
    return target.post(graphql(query, i={"email": email, "password": "a good one, never seen"}))


def trailers(target: Target) -> str:
    """2: 20 MB of trailers behind a body."""
    made = target.connect(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    sent = 0
    with contextlib.suppress(OSError):
        for _ in range(1000):
            made.sendall(b"a:b\r\n" * 4000)
            sent += 20_000
    made.close()
    return f"{sent / 1e6:.1f} MB were taken"


def silence(target: Target) -> str:
    """3: bodies of which no byte comes."""
    made = [target.connect(HEAD + b"content-length: 9\r\n\r\n") for _ in range(150)]
    time.sleep(15)  # BODY_TIMEOUT is 10 s
    open_ = 0
    for each in made:
        each.setblocking(False)
        try:
            each.recv(1)
        except BlockingIOError:
            open_ += 1
        except OSError:
            pass
        each.close()
    return f"{open_} of 150 are open after 15 s"


def answers(target: Target) -> str:
    """4: an answer of 190 MB, of which nothing is read."""
    fields = " ".join(f"d{number}: description" for number in range(48))
    body = graphql(f"{{ catalogItems(first: 100) {{ nodes {{ {fields} }} }} }}")
    made = target.connect(HEAD + f"content-length: {len(body)}\r\n\r\n".encode() + body)
    time.sleep(10)
    begin = made.recv(20)
    made.close()
    return begin.split(b"\r\n")[0].decode()


def variables(target: Target) -> str:
    """5: a large variable, used by each of 20 fields in each of ten operations."""
    given = {"or": [{"name": {"equals": f"name {number}"}} for number in range(400)]}
    fields = " ".join(f"f{number}: catalogItems(first: 0, filter: $f) {{ __typename }}" for number in range(20))
    one = {"query": f"query ($f: CatalogItemFilter) {{ {fields} }}", "variables": {"f": given}}
    return target.post(orjson.dumps([one] * 10))


def conditions(target: Target) -> str:
    """6: 20 counts, each with 60 times `not contains`."""
    given = {"or": [{"name": {"contains": f"zq{number}"}} for number in range(60)]}
    # each another one, so that no statement answers two of them
    fields = " ".join(
        f"f{number}: catalogItems(filter: {{not: $f, price: {{gte: -{number}}}}}) {{ totalCount }}"
        for number in range(20)
    )
    return target.post(graphql(f"query ($f: CatalogItemFilter) {{ {fields} }}", f=given))


def failures(target: Target) -> str:
    """7: 300 requests that fail early, with a quota of 100 points a minute."""
    found = Counter(target.post(b"{}", authorization=f"Bearer {number}") for number in range(300))
    return ", ".join(f"{count} times {answer}" for answer, count in found.most_common())


ATTACKS: Final[tuple[Callable[[Target], str], ...]] = (
    *(texts, trailers, silence, answers, variables, conditions, failures),
)


def attack(target: Target, send: Callable[[Target], str]) -> str:
    """A line of the table."""
    waits, sizes, over = [target.alive()], [target.memory()], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            waits.append(target.alive())

    def weigh() -> None:
        while not over.wait(0.02):
            sizes.append(target.memory())

    watchers = [threading.Thread(target=each) for each in (watch, weigh)]
    before = target.cpu()
    for each in watchers:
        each.start()
    answered = send(target)
    over.set()
    for each in watchers:
        each.join()
    own, postgres = (after - first for first, after in zip(before, target.cpu(), strict=True))
    grown = max(sizes) - sizes[0]
    name = (send.__doc__ or "").rstrip(".")
    return f"| {name} | {answered} | {max(waits):,.0f} | {grown:,.0f} | {own / 1000:.1f} | {postgres / 1000:.1f} |"


async def fill(url: str, rows: int) -> int:
    """Rows in every table, and a hundred new items with the longest descriptions. The server's process."""
    await bulk.load(url, rows)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "UPDATE catalog.catalog_items SET description = repeat('\U0001f9e5', 10000), is_active = true WHERE id IN "
            "(SELECT id FROM catalog.catalog_items WHERE deleted_at IS NULL ORDER BY created_at DESC LIMIT 100)"
        )
        backend: int = await connection.fetchval("SELECT pg_backend_pid()")
        return parent_of(backend)
    finally:
        await connection.close()


@contextlib.contextmanager
def serving(command: str, folder: str, variables: dict[str, str], postgres: int) -> Iterator[Target]:
    """A server of these settings."""
    output = Path(folder) / "output.txt"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [command, "serve", "--port", "0"], cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: process.poll() is not None or "ready" in output.read_text(), "ready", START)
        found = re.search(r"http://[^\s/\"]+:(\d+)", output.read_text())
        assert found is not None, output.read_text()
        yield Target(process, int(found[1]), postgres)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def main(
    checkout: Annotated[Path, typer.Option(help="Whose server is attacked.")] = ROOT,
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 121_000,
    only: Annotated[str, typer.Option(help="Only attacks whose description has this.")] = "",
) -> None:
    """Print what each attack costs."""
    command = str(checkout.absolute() / ".venv/bin/fashion-wallet")
    with throwaway_stores() as stores, tempfile.TemporaryDirectory(prefix="fashion-wallet-attacks-") as folder:
        assert stores.database_url is not None
        assert stores.mongodb_uri is not None
        variables = environment(
            DATABASE_URL=stores.database_url,
            MONGODB_URI=stores.mongodb_uri,
            AUTH_SECRET=os.urandom(32).hex(),
            ENVIRONMENT="production",
        )
        subprocess.run([command, "migrate", "run"], cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
        postgres = asyncio.run(fill(stores.database_url, rows))
        typer.echo("| attack | answered | longest `/livez`, ms | memory, MB | server's CPU, s | PostgreSQL's, s |")
        typer.echo("|---|---|--:|--:|--:|--:|")
        for send in ATTACKS:
            if only not in (send.__doc__ or ""):
                continue
            # each on a server of its own, so that what one leaves behind is not the next one's
            quota = {"RATE_LIMIT_ADDRESS": "100/minute"} if send is failures else {}
            with serving(command, folder, variables | quota, postgres) as target:
                typer.echo(attack(target, send))


if __name__ == "__main__":
    typer.run(main)
