"""deploy/kubernetes, without a cluster: held to the schemas of Kubernetes, the settings, the routes and the image."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
from starlette.routing import Route

from api.config.settings import Settings, load_settings
from api.http.application import create_app
from tests.support.applications import running
from tests.support.documentation import commands
from tests.support.kubernetes.kustomize import Manifest, build, pods

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
BASE, PRODUCTION = FOLDER / "base", FOLDER / "overlays/production"
VERSIONS = ("1.34", "1.36")
"""Of Kubernetes: the oldest that the page names, and a newer one."""
OF_OPERATORS = {"ServiceMonitor"}
"""Kinds that Kubernetes itself doesn't know."""
SECRETS = {
    "DATABASE_URL": "postgresql://wallet:password@postgres.example.com/wallet",
    "MONGODB_URI": "mongodb://wallet:password@mongodb.example.com/wallet",
    "AUTH_SECRET": "9f1c7b5e3a2d4068b7c6e5f4a3d2c1b0",
}


@pytest.fixture(params=[BASE, PRODUCTION], ids=["base", "production"])
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    folder: Path = request.param
    return build(folder)


def one(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = (each for each in manifests if each["kind"] == kind)
    return found


def container(manifests: list[Manifest], kind: str = "Deployment") -> Manifest:
    (found,) = pods(manifests)[kind]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def settings_of(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The settings of a pod that serves, with secrets as somebody may have made them."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {**one(manifests, "ConfigMap")["data"], **SECRETS}.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_would_take_every_object(manifests: list[Manifest], version: str) -> None:
    kinds = set()
    for each in manifests:
        if each["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(each, version, strict=True)
            kinds.add(each["kind"])

    assert kinds >= {
        *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Job"),
        *("NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"),
    }


def test_what_kubernetes_would_not_take_is_found() -> None:
    deployment = one(build(BASE), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["path"] = "/readyz"

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


def test_every_file_is_part_of_a_kustomization() -> None:
    for folder in {path.parent for path in FOLDER.rglob("*.yaml")}:
        text = (folder / "kustomization.yaml").read_text("utf-8")
        others = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert all(f"  - {name}\n" in text for name in others), folder


def test_names_are_unique_and_of_one_namespace() -> None:
    manifests = build(PRODUCTION)

    assert len({(each["kind"], each["metadata"]["name"]) for each in manifests}) == len(manifests)
    namespace = one(manifests, "Namespace")["metadata"]["name"]
    assert {each["metadata"].get("namespace") for each in manifests if each["kind"] != "Namespace"} == {namespace}


def test_variables_are_settings_that_a_pod_can_start_with(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = {name.upper() for name in Settings.model_fields}
    given = set(one(manifests, "ConfigMap")["data"])
    for kind in pods(manifests):
        given |= {each["name"] for each in container(manifests, kind)["env"]}
        assert container(manifests, kind)["envFrom"] == [{"configMapRef": {"name": "fashion-wallet"}}]
    assert given <= known

    settings = settings_of(manifests, monkeypatch, tmp_path)
    assert settings.is_production
    assert container(manifests)["ports"][0] == {"name": "http", "containerPort": settings.port}
    assert settings.host == "0.0.0.0"  # a probe comes from outside


def test_secrets_are_referred_to_and_nowhere_written(manifests: list[Manifest]) -> None:
    secret = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if "SecretStr" in repr(field.annotation) or "SecretStr" in repr(field.metadata)
    }
    assert secret >= SECRETS.keys()

    assert not [each for each in manifests if each["kind"] == "Secret"]
    assert not secret & one(manifests, "ConfigMap")["data"].keys()
    referred: dict[str, set[str]] = {}
    for kind in pods(manifests):
        for variable in container(manifests, kind)["env"]:
            assert variable.keys() == {"name", "valueFrom"}
            reference = variable["valueFrom"]["secretKeyRef"]
            if variable["name"] in SECRETS:
                assert "optional" not in reference
            referred.setdefault(kind, set()).add(reference["name"])
    assert referred == {
        "Deployment": {"fashion-wallet-secrets"},
        "Job": {"fashion-wallet-secrets", "fashion-wallet-migration"},
    }


def test_probes_ask_routes_that_there_are(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_of(manifests, monkeypatch, tmp_path)
    paths = {route.path for route in create_app(settings).routes if isinstance(route, Route)}
    probes = {name: container(manifests)[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    asked = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert asked == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {"http"}
    assert set(asked.values()) <= paths
    # a check that takes as long as it may is no failure, and leaving is noticed while requests are still taken
    ready = probes["readinessProbe"]
    assert ready["timeoutSeconds"] > settings.health_timeout
    assert ready["periodSeconds"] * ready["failureThreshold"] < settings.drain_delay


def test_a_pod_has_the_time_that_it_needs_to_leave(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_of(manifests, monkeypatch, tmp_path)
    pod = pods(manifests)["Deployment"]["spec"]
    pause: int = container(manifests)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert settings.drain_delay == settings.shutdown_delay > 0
    assert pod["terminationGracePeriodSeconds"] > pause + settings.shutdown_timeout


def test_pods_may_do_nothing_that_they_need_not(manifests: list[Manifest]) -> None:
    """As the profile "restricted" of the Pod Security Standards asks, with a root file system that is read-only."""
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert user is not None
    for kind, template in pods(manifests).items():
        pod, its = template["spec"], container(manifests, kind)
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": int(user[1]),
            "runAsGroup": int(user[2]),
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert its["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"memory"} == its["resources"]["limits"].keys() < its["resources"]["requests"].keys()
        assert all(volume.keys() == {"name", "emptyDir"} for volume in pod["volumes"])
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] == one(manifests, "ServiceAccount")["metadata"]["name"]


def test_pods_run_commands_of_the_image(manifests: list[Manifest]) -> None:
    (serves,) = re.findall(r"^CMD (.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert container(manifests)["args"] == json.loads(serves)
    for kind in pods(manifests):
        program, *arguments = container(manifests, kind)["args"]
        assert program == "fashion-wallet"
        assert commands.usage(arguments)
    assert len({container(manifests, kind)["image"] for kind in pods(manifests)}) == 1


def test_an_overlay_says_which_image() -> None:
    assert container(build(BASE))["image"] == "fashion-wallet"
    assert container(build(PRODUCTION), "Job")["image"] == "registry.example.com/fashion-wallet:0.1.0"


def test_selectors_select_the_pods_that_serve(manifests: list[Manifest]) -> None:
    labels = {kind: template["metadata"]["labels"] for kind, template in pods(manifests).items()}
    deployment = one(manifests, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        one(manifests, "Service")["spec"]["selector"],
        one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in pod["topologySpreadConstraints"]),
    ]

    for selector in selectors:
        assert selector.items() <= labels["Deployment"].items()
        assert not selector.items() <= labels["Job"].items()
    walled = one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert all(walled.items() <= of.items() for of in labels.values())
    target = one(manifests, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]  # applying it anew would undo what the autoscaler has done


def test_the_network_lets_through_what_the_settings_name(manifests: list[Manifest]) -> None:
    ports = {port["port"] for rule in one(manifests, "NetworkPolicy")["spec"]["egress"] for port in rule["ports"]}

    assert ports >= {Settings.model_fields["postgres_port"].default, 27017, 53}
    names = {each["name"] for each in container(manifests)["ports"]}
    incoming = one(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert {port["port"] for rule in incoming for port in rule["ports"]} <= names


def _measured(manifests: list[Manifest]) -> set[str]:
    """Names of metrics by which pods are scaled."""
    metrics = one(manifests, "HorizontalPodAutoscaler")["spec"]["metrics"]
    return {each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"}


@pytest.mark.anyio
async def test_pods_are_scaled_by_cpu_and_by_what_they_measure(settings: Settings, clean_stores: None) -> None:
    base, production = build(BASE), build(PRODUCTION)
    for manifests in (base, production):
        kinds = {each["type"] for each in one(manifests, "HorizontalPodAutoscaler")["spec"]["metrics"]}
        assert kinds == {"Resource", "Pods"} if manifests is production else {"Resource"}

    data: dict[str, Any] = one(production, "ConfigMap")["data"]
    ports = {port["name"]: port["containerPort"] for port in container(production)["ports"]}
    assert data["METRICS_PORT"] == str(ports["metrics"])
    monitor, service = one(production, "ServiceMonitor"), one(production, "Service")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}[endpoint["port"]] == "metrics"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    async with running(settings, metrics=True) as (_, client):
        response: httpx.Response = await client.get(endpoint["path"])
    for name in _measured(production):
        assert f"\n# TYPE {name} gauge\n" in response.text
