"""What benchmarks are measured with: requests that repeat, and requests that differ."""

from __future__ import annotations

from collections import Counter

import pytest
import typer
from typer.testing import CliRunner

from tests.benchmarks import compare
from tests.benchmarks.operations import Operation, operations
from tests.benchmarks.variety import DIFFERENT, Variety, requests_of

ROWS, DESIGNS = 10_000, 2_000
OPERATIONS = {operation.name: operation for operation in operations("an id")}
LISTS = ("catalogPage", "designBoard", "userTree", "oneDesign")


def _bodies(operation: Operation, variety: Variety) -> list[bytes]:
    return [request.body for request in requests_of(operation, variety, ROWS, DESIGNS)]


@pytest.mark.parametrize("name", LISTS)
def test_requests_repeat_or_all_differ_or_are_skewed(name: str) -> None:
    one, many, skewed = (_bodies(OPERATIONS[name], variety) for variety in Variety)

    assert one == [OPERATIONS[name].body]
    assert len(set(many)) == len(many) == DIFFERENT
    (_, most), *_, (_, least) = Counter(skewed).most_common()
    assert set(skewed) <= set(many)
    assert most > 100 * least
    assert many == _bodies(OPERATIONS[name], Variety.MANY)  # in another run, too


def test_health_cant_differ() -> None:
    assert [len(_bodies(OPERATIONS["health"], variety)) for variety in Variety] == [1, 0, 0]


@pytest.mark.parametrize(("option", "value"), [("--variety", "few"), ("--connections", "1,many"), ("--rounds", "0")])
def test_options_of_compare_are_refused_before_anything_starts(option: str, value: str) -> None:
    app = typer.Typer()
    app.command()(compare.main)

    refused = CliRunner().invoke(app, [option, value])

    assert refused.exit_code == 2
