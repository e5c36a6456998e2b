"""What a server has had its stores asked, by its own `/metrics`."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.bench import Process

_PREFIX = "fashion_wallet_"


@dataclass(frozen=True, slots=True)
class Reads:
    """SQL statements and MongoDB commands that were sent, and reads that went along with those of other requests."""

    sql: float
    mongo: float
    joined: float

    def since(self, before: Reads, requests: int) -> Reads:
        """What has come since, a request each."""
        return Reads(
            (self.sql - before.sql) / requests,
            (self.mongo - before.mongo) / requests,
            (self.joined - before.joined) / requests,
        )


def reads_of(server: Process) -> Reads | None:
    """So far; None of a server that doesn't count."""
    try:
        with urllib.request.urlopen(f"{server.url}/metrics") as response:
            text = response.read().decode()
    except urllib.error.HTTPError:
        return None
    found = {
        sample.name.removeprefix(_PREFIX): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    joined = found.get("reads_total", 0.0) - found.get("reads_sent_total", 0.0)
    return Reads(found["sql_statements_total"], found["mongodb_commands_total"], joined)
