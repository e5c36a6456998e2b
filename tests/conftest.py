"""How the suite is run: on what, in which order, by which processes. What tests use is in tests/fixtures.py."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--executor",
        choices=["both", "each", "compiled", "core"],
        default="both",
        help="which executor answers: the compiled one, compared with graphql-core where an execution is not like one "
        "before (both) or each time (each), it alone, or graphql-core",
    )
    parser.addoption(
        "--postgres",
        choices=["embedded", "citus", "distributed"],
        default="embedded",
        help="what PostgreSQL is: the package's, a Citus coordinator, or one whose tables are distributed",
    )
    parser.addoption("--mongodb", choices=["embedded", "documentdb"], default="embedded", help="what MongoDB is")


LONGEST = (
    *("live/test_clients", "lists/test_plans", "http/explorer/test_explorer_page", "demo/test_demo"),
    *("embedded/test_embedded", "server/test_server", "migrations/test_migrations"),
    *("stores/distribution/test_layout", "migrations/test_adoption", "stores/replicas/test_replicas"),
    *("stores/breakers/test_faults", "health/test_health", "stores/test_engines", "server/test_starting"),
    *("migrations/test_migrations_elsewhere", "live/test_design_feed", "live/test_fan_out"),
    *("http/sockets/test_sockets", "stores/breakers/test_faults_servers", "metrics/test_workers"),
    *("backup/test_drill", "lists/test_pagination", "rights/test_visibility", "rights/test_mutation_rights"),
    *("execution/test_api", "commands/test_cli", "server/test_socket_protocol", "server/test_overload"),
    *("accounts/test_passwords", "search/test_any_query", "search/test_given_away", "search/test_takeover"),
    *("migrations/test_ownership", "tracing/test_receivers", "live/test_lost_mongodb", "reconcile/test_crashes"),
    *("server/test_draining", "stores/postgres/test_severed_connections", "project/test_readme"),
    *("live/test_designs", "server/test_memory"),
)
"""The files that take longest; where one came last, the other processes would wait for it."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """A process a core, and two more for the whole suite, whose tests often wait for processes of their own."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    return len(os.sched_getaffinity(0)) + 2 * whole if sys.platform == "linux" else None


NURSERIES = pytest.StashKey[processes.Nurseries]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """The processes that tests run in are forked from one that has imported the program."""
    if (nurseries := processes.share(config)) is not None:
        config.stash[NURSERIES] = nurseries
        for spec in specs:
            if spec.popen and not spec.python:
                spec.python = nurseries.python


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """They are told where to ask for commands."""
    if NURSERIES in node.config.stash:
        node.workerinput["nursery"] = node.config.stash[NURSERIES].commands


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Fixtures import the program, which takes seconds and is for those that run tests, not for who hands them out."""
    if nursery := getattr(config, "workerinput", {}).get("nursery"):
        processes.use(nursery)
    if not config.pluginmanager.has_plugin("dsession"):
        config.pluginmanager.import_plugin("tests.fixtures")


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Everything that is read meanwhile stays: there is no garbage to look for."""
    gc.disable()


NOT_FOR = {"undistributed": ("distributed",), "without_citus": ("citus", "distributed")}
"""On which PostgreSQL the tests with a marker, whose argument says why, are skipped."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first; in which order the others come, chance has said."""
    for name, elsewhere in NOT_FOR.items():
        if config.getoption("--postgres") in elsewhere:
            for item in items:
                if (marker := item.get_closest_marker(name)) is not None:
                    item.add_marker(pytest.mark.skip(reason=marker.args[0]))
    ranks = {Path(__file__).parent / f"{name}.py": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """Garbage collection needs not look again and again at what is there for good: all modules and tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    processes.nurseries.close()
