"""Writers and readers go on while each node of a cluster is killed and frozen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.config.settings import Settings
from migrations.runner import upgrade
from tests.support.failures import cluster_nodes
from tests.support.failures.ledger import Outcome
from tests.support.failures.restartable import restartable_cluster
from tests.support.stores.distributed import distribute
from tests.support.stores.engines import Cluster

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def failing(of_distribution: None) -> Iterator[tuple[Cluster, Settings]]:
    with restartable_cluster() as (cluster, settings):
        upgrade(settings)
        distribute(settings)
        yield cluster, settings


async def test_no_acknowledged_write_is_lost_and_none_is_there_twice(failing: tuple[Cluster, Settings]) -> None:
    """`python -m tests.chaos --distributed` does it for longer."""
    report = await cluster_nodes.run(*failing)

    assert report.wrong == []
    for ledger in report.ledgers:
        assert ledger.surprises == []  # no answer but success, STORE_UNAVAILABLE and the like
        assert ledger.counts[Outcome.ACKNOWLEDGED] > 0
        assert ledger.counts[Outcome.REFUSED] > 0
        assert ledger.reads > 0
    # the coordinator was killed, and frozen; a worker is no reason to cut it off
    assert report.log == ["cut off: PostgreSQL", "back: PostgreSQL"] * 2
