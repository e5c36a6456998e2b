"""Mutations that answer with an object: sending one, and what its payload says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.graphql import execute

NOT_FOUND = [("NotFoundError", "NOT_FOUND", ["id"])]
"""As `refused` says it."""


def invalid(*paths: str) -> list[tuple[str, str, list[str]]]:
    """As `refused` says it."""
    return [("InvalidInput", "INVALID", path.split(".")) for path in paths]


@dataclass(frozen=True)
class Mutations:
    """The mutations of one type. `field` is the payload's for the object, of which `selected` is asked."""

    field: str
    selected: str
    errors: str = "__typename code message path"

    def document(self, name: str) -> str:
        """A mutation of this name, whose input is the variable `input`."""
        return (
            f"mutation ($input: {name[0].upper()}{name[1:]}Input!) "
            f"{{ {name}(input: $input) {{ {self.field} {{ {self.selected} }} errors {{ {self.errors} }} }} }}"
        )

    async def payload(self, client: httpx.AsyncClient, name: str, /, **given: Any) -> dict[str, Any]:
        payload: dict[str, Any] = (await execute(client, self.document(name), input=given))[name]
        return payload

    async def changed(self, client: httpx.AsyncClient, name: str, /, **given: Any) -> dict[str, Any]:
        """The object after a mutation that has no errors."""
        payload = await self.payload(client, name, **given)
        assert payload["errors"] == []
        changed: dict[str, Any] = payload[self.field]
        return changed

    async def refused(
        self, client: httpx.AsyncClient, name: str, /, **given: Any
    ) -> list[tuple[str, str, list[str] | None]]:
        """Type, code and path of each error of a mutation that has not answered with an object."""
        payload = await self.payload(client, name, **given)
        assert payload[self.field] is None
        return [(error["__typename"], error["code"], error["path"]) for error in payload["errors"]]
