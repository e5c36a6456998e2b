"""Digests of rows and documents that don't depend on their order: sums of hashes.

They tell whether everything has arrived. Against whoever wants to deceive they are no help: the manifest can be
replaced together with what it describes.
"""

from __future__ import annotations

import hashlib
from typing import Final

from api.backup.manifest import Contents

_MODULUS: Final = 2**128

ROWS_READ: Final = (
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL xmloption = 'content'",
    # else rows could be missing without an error
    "SET LOCAL row_security = off",
)
"""What the text of a row depends on, as statements for the transaction."""


def of_table(table: str) -> str:
    """A query for `count` and `digest` of a table, whose name is quoted. PostgreSQL works it out where the rows are."""
    half = "coalesce(sum(('x' || substr(hash, {}, 16))::bit(64)::bigint::numeric), 0)"
    return (
        f"SELECT count(*) AS count, {half.format(1)} || '/' || {half.format(17)} AS digest "  # noqa: S608  of the catalog
        "FROM (SELECT encode(sha256(convert_to(\"whole row\"::text, 'UTF8')), 'hex') AS hash "
        f'FROM {table} "whole row") AS hashes'
    )


class Digest:
    """Of documents, as they come."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, document: bytes | memoryview) -> None:
        self.count += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(document).digest()[:16])) % _MODULUS

    @property
    def contents(self) -> Contents:
        return Contents(count=self.count, digest=f"{self._sum:032x}")
