"""deploy/observability: alerts that fire when they should, and queries of metrics that the server exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from api.config.settings import Settings
from api.metrics.families import FAMILIES, PREFIX
from tests.support.applications import running
from tests.support.documentation.pages import ROOT, page

FOLDER: Final = ROOT / "deploy/observability"
RULES: Final[list[dict[str, Any]]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
PANELS: Final[list[dict[str, Any]]] = json.loads((FOLDER / "grafana/dashboard.json").read_text("utf-8"))["panels"]
QUERIES: Final = [rule["expr"] for rule in RULES] + [each["expr"] for panel in PANELS for each in panel["targets"]]
OF_PROMETHEUS: Final = {"up": {"job"}}
"""Metrics that Prometheus makes itself."""
TARGET: Final = {"job", "instance"}
"""Labels that Prometheus gives every metric of a target."""
_METRIC: Final = re.compile(r"\b(fashion_wallet_\w+|process_\w+|up)\b(?:\{([^}]*)\})?")
_GROUPED: Final = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def promtool(*arguments: str, folder: Path = FOLDER) -> str:
    """What promtool says; it must say that all is well."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool (of Debian's prometheus) is not installed: rules can't be checked")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_configuration_and_rules_are_correct() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_and_is_silent() -> None:
    tested: dict[str, set[bool]] = defaultdict(set)
    for test in yaml.safe_load((FOLDER / "alerts.test.yml").read_text("utf-8"))["tests"]:
        for each in test["alert_rule_test"]:
            tested[each["alertname"]].add(bool(each["exp_alerts"]))

    assert tested == {rule["alert"]: {True, False} for rule in RULES}
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml")


def test_a_changed_threshold_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "alerts.yml"
    rules.write_text(rules.read_text("utf-8").replace("> 0.8", "> 0.95"), "utf-8")

    with pytest.raises(AssertionError, match="FashionWalletPoolUsedUp"):
        promtool("test", "rules", "alerts.test.yml", folder=tmp_path)


def test_each_alert_has_a_section_of_the_page() -> None:
    sections = re.findall(r"^## (\w+)$\n\n\*(\w+)\*\. ", page("docs/operating/alerts.md").text, re.MULTILINE)

    assert sections == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["page"] == f"docs/operating/alerts.md#{rule['alert'].lower()}"


@pytest.mark.anyio
async def test_every_query_asks_for_what_the_server_exports(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True) as (_, client):
        exported = await names_of(client)

    asked = set()
    for query in QUERIES:
        grouped = {label.strip() for labels in _GROUPED.findall(query) for label in labels.split(",") if label.strip()}
        known = set(TARGET)
        for name, matchers in _METRIC.findall(query):
            asked.add(name)
            own = exported.get(name, OF_PROMETHEUS.get(name))
            assert own is not None, f"{name} is not exported: {query}"
            labels = set(re.findall(r"(\w+)=", matchers))
            assert labels <= own | TARGET, f"{name} has no such labels: {query}"
            known |= own
        assert grouped <= known, query
    # nothing that operators should see is missing from the dashboard and the alerts, but for what others tell as well
    families = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in asked if name.startswith(PREFIX)}
    unseen = {name.removeprefix(PREFIX) for name in FAMILIES if name.startswith(PREFIX)} - {
        name.removeprefix(PREFIX) for name in families
    }
    assert unseen == {
        *("executor_fallbacks", "documents", "documents_bytes", "sql_statements", "mongodb_commands", "keys_saved"),
        *(
            "documents_parsed",
            "operations",
            "reads_waited_seconds",
            "replica_reads",
            "replica_failures",
            "replicas_missed",
        ),
    }


async def names_of(client: httpx.AsyncClient) -> dict[str, set[str]]:
    """Names of samples that are exported, each with its labels; those of families that have no sample yet, too."""
    text = (await client.get("/metrics")).text
    found: dict[str, set[str]] = {}
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        family = FAMILIES.get(name.removesuffix("_total"))
        labels = set(family.labels) if family is not None else set()
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    return found


def test_compose_mounts_what_is_there_and_scrapes_the_port_that_it_says() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    services = yaml.safe_load(text)["services"]
    beside = {name: each for name, each in services.items() if each.get("profiles") == ["observability"]}

    assert set(beside) == {"prometheus", "grafana"}
    for service in beside.values():
        sources = [mount.split(":")[0] for mount in service["volumes"] if mount.startswith("./")]
        assert all((ROOT / source).exists() for source in sources)
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service["image"])
    (target,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))["scrape_configs"][0]["static_configs"][
        0
    ]["targets"]
    assert (
        f"METRICS_PORT={target.removeprefix('api:')} docker compose --profile observability"
        in page("docs/operating/metrics.md").text
    )
    source = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    assert {panel["datasource"]["uid"] for panel in PANELS} == {each["uid"] for each in source["datasources"]}
