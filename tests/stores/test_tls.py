"""TLS to both stores, over certificates of a test's own authority: who is checked, and who has to show one."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import trustme
from pydantic import SecretStr
from pymongo.errors import ServerSelectionTimeoutError

from api.config.settings import Settings
from api.embedded.daemons import HOST, is_listening
from api.embedded.postgres import START_TIMEOUT, STOP_TIMEOUT, postgres_daemon
from api.health.reasons import reason
from api.stores.mongodb.client import mongo_client
from api.stores.postgres.connector import Connector
from migrations.runner import upgrade
from tests.support.applications import running
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid
from tests.support.stores.postgres_server import debian_programs, postgres_server
from tests.support.stores.secantus import secantus

pytestmark = pytest.mark.anyio

ACCESS = ("hostssl all wallet all cert", "hostssl all all all trust")


@dataclass(frozen=True)
class Certificates:
    """Files. The servers' is for 127.0.0.1 and no name; the client's is of the role `wallet`."""

    authority: Path
    stranger: Path
    """Another authority, which has signed nothing here."""
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    both: Path
    """The client's key and certificate in one file, as MongoDB's drivers want them."""


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    ours, other = trustme.CA(), trustme.CA()
    server, client = ours.issue_cert(HOST), ours.issue_cert("client@example.com", common_name="wallet")
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-tls-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        made = Certificates(*(folder / f"{field.name}.pem" for field in dataclasses.fields(Certificates)))
        ours.cert_pem.write_to_path(str(made.authority))
        other.cert_pem.write_to_path(str(made.stranger))
        server.cert_chain_pems[0].write_to_path(str(made.server))
        server.private_key_pem.write_to_path(str(made.server_key))
        client.cert_chain_pems[0].write_to_path(str(made.client))
        client.private_key_pem.write_to_path(str(made.client_key))
        client.private_key_and_cert_chain_pem.write_to_path(str(made.both))
        yield made


@pytest.fixture(scope="module")
def authority_url(certificates: Certificates) -> Iterator[str]:
    """`@127.0.0.1:5432/postgres` of a PostgreSQL that speaks TLS, and wants a certificate of `wallet`."""
    programs = debian_programs()
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-") as name:
        owner = postgres_daemon(Path(name), False, programs).owner  # makes the user, too
    key = certificates.server_key
    key.chmod(0o600)
    if owner is not None:
        os.chown(key, *owner)
    options = {
        "ssl": "on",
        "ssl_cert_file": str(certificates.server),
        "ssl_key_file": str(key),
        "ssl_ca_file": str(certificates.authority),
    }
    with postgres_server(access=ACCESS, options=options, programs=programs) as daemon:
        yield f"@{HOST}:{daemon.port}/postgres"


@pytest.fixture(scope="module")
def mongodb_authority(certificates: Certificates) -> Iterator[str]:
    """`127.0.0.1:27017` of a SecantusDB that wants a certificate of everybody."""
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-") as name, contextlib.ExitStack() as stack:
        arguments = (
            *("--tls-cert-file", str(certificates.server), "--tls-key-file", str(certificates.server_key)),
            *("--tls-ca-file", str(certificates.authority), "--tls-require-client-cert"),
        )
        daemon = dataclasses.replace(secantus(Path(name), *arguments), answers=lambda daemon: is_listening(daemon.port))
        stack.callback(daemon.stop, STOP_TIMEOUT)
        daemon.start()
        daemon.await_ready(START_TIMEOUT)
        yield f"{HOST}:{daemon.port}"


def to(settings: Settings, user: str, authority_url: str, **parameters: object) -> Settings:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return settings.model_copy(update={"database_url": SecretStr(f"postgresql://{user}{authority_url}?{query}")})


async def signed_in_by(settings: Settings) -> tuple[bool, str | None]:
    """Whether the connection has TLS, and the subject of the client's certificate."""
    connection = await Connector(settings)()
    try:
        row = await connection.fetchrow("SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert row is not None
        return row["ssl"], row["client_dn"]
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_postgres_is_checked(
    settings: Settings, authority_url: str, certificates: Certificates, mode: str
) -> None:
    by_url = to(settings, "postgres", authority_url, sslmode=mode, sslrootcert=certificates.authority)
    assert await signed_in_by(by_url) == (True, None)
    by_settings = to(settings, "postgres", authority_url)
    right = {"postgres_ssl": mode, "postgres_ssl_root_cert": certificates.authority}
    assert await signed_in_by(by_settings.model_copy(update=right)) == (True, None)

    for changed in (
        by_settings.model_copy(update=right | {"postgres_ssl_root_cert": certificates.stranger}),
        to(settings, "postgres", authority_url, sslmode=mode, sslrootcert=certificates.stranger),
    ):
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED") as caught:
            await signed_in_by(changed)
        assert reason(caught.value, 1) == "TLS failed"


async def test_the_name_of_postgres_is_checked(
    settings: Settings, authority_url: str, certificates: Certificates
) -> None:
    root = {"sslrootcert": certificates.authority}
    by_name = f"@localhost:{authority_url.rpartition(':')[2]}"  # which the certificate doesn't have
    with pytest.raises(Exception, match="Hostname mismatch"):
        await signed_in_by(to(settings, "postgres", by_name, sslmode="verify-full", **root))
    assert await signed_in_by(to(settings, "postgres", by_name, sslmode="verify-ca", **root)) == (True, None)


async def test_what_has_no_tls_is_turned_away(settings: Settings, authority_url: str) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await signed_in_by(to(settings, "postgres", authority_url, sslmode="disable"))


async def test_postgres_wants_a_certificate(settings: Settings, authority_url: str, certificates: Certificates) -> None:
    checked = {"sslmode": "verify-full", "sslrootcert": certificates.authority}
    superuser = await Connector(to(settings, "postgres", authority_url, **checked))()
    await superuser.execute("DROP ROLE IF EXISTS wallet; CREATE ROLE wallet LOGIN")
    await superuser.close()
    own = {"sslcert": certificates.client, "sslkey": certificates.client_key}
    is_encrypted, subject = await signed_in_by(to(settings, "wallet", authority_url, **checked, **own))
    assert is_encrypted
    assert (subject or "").endswith("/CN=wallet")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="certificate"):
        await signed_in_by(to(settings, "wallet", authority_url, **checked))


# pymongo leaves the socket of a handshake that fails to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_mongodb_is_checked_and_wants_a_certificate(
    settings: Settings, mongodb_authority: str, certificates: Certificates
) -> None:
    def by(name: str, own: bool, authority: Path) -> Settings:
        shown = f"&tlsCertificateKeyFile={certificates.both}" if own else ""
        uri = f"mongodb://{name}/?directConnection=true&tls=true{shown}"
        changes = {"mongodb_uri": SecretStr(uri), "mongodb_tls_ca_file": authority, "mongodb_selection_timeout": 0.5}
        return settings.model_copy(update=changes)

    async with mongo_client(by(mongodb_authority, True, certificates.authority)) as client:
        assert (await client.admin.command("ping"))["ok"] == 1
    why = await refused(by(mongodb_authority, True, certificates.stranger))
    assert "CERTIFICATE_VERIFY_FAILED" in why
    assert await refused(by(mongodb_authority, False, certificates.authority)) != ""
    gc.collect()


async def refused(settings: Settings) -> str:
    """Why MongoDB can't be reached; nothing of the error is kept, which has a socket in it."""
    async with mongo_client(settings) as client:
        try:
            await client.admin.command("ping")
        except ServerSelectionTimeoutError as error:
            return str(error)
    return ""


async def test_an_application_with_tls_to_both(
    settings: Settings, authority_url: str, mongodb_authority: str, certificates: Certificates
) -> None:
    checked = {"sslmode": "verify-full", "sslrootcert": certificates.authority}
    uri = f"mongodb://{mongodb_authority}/tls?directConnection=true&tls=true&tlsCertificateKeyFile={certificates.both}"
    ours = to(settings, "postgres", authority_url, **checked).model_copy(
        update={"mongodb_uri": SecretStr(uri), "mongodb_tls_ca_file": certificates.authority}
    )
    await asyncio.to_thread(upgrade, ours)
    async with running(ours) as (app, client):
        stores = app.state.stores
        user = await create_user(stores, first_name="Ada")
        design = await create_design(stores, user_id=str(user.id), name="Coat", status="published")
        found = await execute(
            client, "query ($id: ID!) { design(id: $id) { name owner { firstName } } }", id=gid(design)
        )
        assert found["design"] == {"name": "Coat", "owner": {"firstName": "Ada"}}
        assert (await client.get("/readyz")).status_code == 200
