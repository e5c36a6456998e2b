"""Answers in zstd and gzip: for whom, of what size, and that they say what they said before."""

from __future__ import annotations

import gzip
import sys

import httpx
import pytest

from api.http.responses.compression import ASIDE, LEAST, encoding_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.anyio

LONG = {"query": '{ __type(name: "Design") { fields { name description type { name } } } }'}
SHORT = {"query": "{ __typename }"}
WHOLE = {"query": "{ __schema { types { name description fields { name description args { name description } } } } }"}


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.1, gzip", "zstd"),
        ("zstd;q=0, gzip;q=1.0", "gzip"),
        ("zstd;q=0.000, gzip; q=0", None),
        ("br", None),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0, *", None),
        ("xgzip", None),
        ("gzip," + " " * 200, None),
    ],
)
def test_the_encoding_is_one_that_the_client_takes(accepted: str, encoding: str | None) -> None:
    assert encoding_of(accepted) == encoding


async def raw(client: httpx.AsyncClient, body: dict[str, str], accepted: str) -> tuple[httpx.Response, bytes]:
    """The response, and its bytes as they came."""
    async with client.stream("POST", "/graphql", json=body, headers={"accept-encoding": accepted}) as response:
        content = b"".join([part async for part in response.aiter_raw()])
    return response, content


@pytest.mark.parametrize("body", [LONG, WHOLE], ids=["at once", "in a thread"])
async def test_long_answers_are_compressed(client: httpx.AsyncClient, body: dict[str, str]) -> None:
    _, plain = await raw(client, body, "identity")
    zipped, gzipped = await raw(client, body, "gzip")
    fast, zstandard = await raw(client, body, "gzip, zstd")

    assert len(plain) >= LEAST
    assert (len(plain) >= ASIDE) == (body is WHOLE)
    assert gzip.decompress(gzipped) == zstd.decompress(zstandard) == plain
    assert max(len(gzipped), len(zstandard)) < len(plain) / 2
    for response, content, encoding in ((zipped, gzipped, "gzip"), (fast, zstandard, "zstd")):
        assert response.status_code == 200
        assert response.headers["content-encoding"] == encoding
        assert response.headers["content-length"] == str(len(content))
        assert response.headers["vary"] == "accept, accept-encoding"


async def test_small_answers_and_those_to_others_are_not(client: httpx.AsyncClient) -> None:
    small, content = await raw(client, SHORT, "gzip, zstd")
    other, _ = await raw(client, LONG, "br")

    assert (small.headers.get("content-encoding"), content) == (None, b'{"data":{"__typename":"Query"}}')
    assert other.headers.get("content-encoding") is None
    assert other.headers["vary"] == "accept, accept-encoding"
