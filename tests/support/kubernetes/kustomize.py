"""`kustomize build` for the kustomizations of this repository: an unknown field is an error, so nothing is left out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_FIELDS = {"apiVersion", "kind", "resources", "components", "labels", "namespace", "images", "patches"}
_CLUSTER_WIDE = {"Namespace"}


def build(folder: Path) -> list[Manifest]:
    """The objects of a kustomization, in the order of its resources."""
    kustomization = _read(folder)
    manifests: list[Manifest] = []
    for name in kustomization.get("resources", ()):
        path = folder / name
        manifests += build(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text("utf-8")))
    for name in kustomization.get("components", ()):
        manifests = _transformed(manifests, folder / name)
    return _changed(manifests, kustomization)


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod templates, by kind of what makes the pods."""
    return {each["kind"]: each["spec"]["template"] for each in manifests if "template" in each.get("spec", {})}


def _transformed(manifests: list[Manifest], folder: Path) -> list[Manifest]:
    component = _read(folder)
    assert component["kind"] == "Component"
    own = [each for name in component.get("resources", ()) for each in yaml.safe_load_all((folder / name).read_text())]
    return _changed(manifests + own, component)


def _read(folder: Path) -> Manifest:
    read: Manifest = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert read.keys() <= _FIELDS, read.keys() - _FIELDS
    return read


def _changed(manifests: list[Manifest], kustomization: Manifest) -> list[Manifest]:
    changed = copy.deepcopy(manifests)
    for patch in kustomization.get("patches", ()):
        assert patch.keys() == {"target", "patch"}
        targets = [each for each in changed if _is_target(each, patch["target"])]
        assert targets, patch["target"]
        for target in targets:
            for operation in yaml.safe_load(patch["patch"]):
                _apply(target, operation)
    for each in changed:
        metadata = each["metadata"]
        if "namespace" in kustomization and each["kind"] not in _CLUSTER_WIDE:
            metadata["namespace"] = kustomization["namespace"]
        for labels in kustomization.get("labels", ()):
            assert labels.keys() == {"pairs"}  # not of selectors and templates
            metadata["labels"] = {**metadata.get("labels", {}), **labels["pairs"]}
    for image in kustomization.get("images", ()):
        assert image.keys() == {"name", "newName", "newTag"}
        for container in _containers(changed):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return changed


def _is_target(manifest: Manifest, target: Manifest) -> bool:
    assert target.keys() == {"kind", "name"}
    return bool(manifest["kind"] == target["kind"] and manifest["metadata"]["name"] == target["name"])


def _containers(manifests: list[Manifest]) -> Iterator[Manifest]:
    for template in pods(manifests).values():
        yield from template["spec"].get("initContainers", ())
        yield from template["spec"]["containers"]


def _apply(manifest: Manifest, operation: Manifest) -> None:
    """One operation of RFC 6902. Raises LookupError where its path leads nowhere."""
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    place: Any = manifest
    for part in path:
        place = place[int(part) if isinstance(place, list) else part]
    key: Any = last
    if isinstance(place, list):
        key = len(place) if last == "-" else int(last)
    match operation["op"]:
        case "add" if isinstance(place, list):
            place.insert(key, operation["value"])
        case "add":
            place[key] = operation["value"]
        case "replace":
            place[key]  # it must be there
            place[key] = operation["value"]
        case "remove":
            del place[key]
        case unknown:
            raise AssertionError(unknown)
