"""Every field as everyone, by a role that owns nothing: in a module of its own, since mutations end sessions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.config.settings import Settings
from tests.rights.test_rights import test_every_field_as_everyone
from tests.support.stores.roles import granted_role, of_role

__all__ = ["test_every_field_as_everyone"]

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def world_settings(settings: Settings) -> Iterator[Settings]:
    with granted_role(settings) as role:
        yield of_role(settings, role)
