"""A PgBouncer of a test's own, between it and the suite's PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.embedded.daemons import HOST, free_port, is_listening
from tests.support.servers import wait_until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
IGNORED = "statement_timeout, jit, timezone, row_security, extra_float_digits"
"""Startup parameters that administrators let it ignore, so that clients such as ours connect at all."""


@contextlib.contextmanager
def pgbouncer(postgres_url: str, *, mode: str = "transaction", size: int = 2, **options: str) -> Iterator[str]:
    """The URL by which the same database is reached through it. Skips the test where it isn't installed.

    `size` connections serve everybody, so that sessions get each other's all the time.
    """
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    address = urlsplit(postgres_url)
    port = free_port()
    given = {
        "listen_addr": HOST,
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "trust",
        "pool_mode": mode,
        "default_pool_size": str(size),
        "max_client_conn": "500",
        "log_connections": "0",
        "log_disconnections": "0",
        "server_login_retry": "1",
        **options,
    }
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # it refuses to run as root
        users = folder / "users.txt"
        users.write_text(f'"{address.username}" ""\n')
        lines = [f"{key} = {value}" for key, value in {**given, "auth_file": str(users)}.items()]
        databases = f"[databases]\n* = host={HOST} port={address.port}\n"
        (folder / "pgbouncer.ini").write_text(f"{databases}[pgbouncer]\n" + "\n".join(lines) + "\n")
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [PROGRAM, str(folder / "pgbouncer.ini")],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None,
                extra_groups=[] if os.geteuid() == 0 else None,
            )
        try:
            wait_until(lambda: process.poll() is not None or is_listening(port), "PgBouncer to listen")
            assert process.poll() is None, log.read_text()
            yield address._replace(netloc=f"{address.username}@{HOST}:{port}").geturl()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
