"""A Citus cluster for the tests of a module, where this machine has one, and Citus is what is tested."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from api.config.settings import Settings
from migrations import distributing, runner
from tests.support.stores.engines import Cluster, citus_cluster


@pytest.fixture(scope="module")
def of_distribution(request: pytest.FixtureRequest) -> None:
    """Each of these modules starts a cluster of its own, which takes longer than its tests."""
    if request.config.getoption("--postgres") != "distributed":
        pytest.skip("this starts a cluster of its own: run it with --postgres=distributed")


@pytest.fixture(scope="module")
def cluster(of_distribution: None) -> Iterator[Cluster]:
    with citus_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def on_cluster(settings: Settings, cluster: Cluster) -> Settings:
    """Settings whose PostgreSQL is the coordinator's, which is migrated; no table is distributed yet."""
    on_cluster = settings.model_copy(
        update={"database_url": SecretStr(cluster.url), "mongodb_database": "on_a_cluster", "row_level_security": False}
    )
    runner.upgrade(on_cluster)
    return on_cluster


@pytest.fixture
def undistributed(on_cluster: Settings) -> Settings:
    """The same, with all rows on the coordinator, whichever test was before."""
    distributing.distribute(on_cluster, lambda _: None, undo=True)
    return on_cluster
