"""Updates as MongoDB's change stream tells them, applied to the document before."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.live.deltas import applied, paths_of

LAYERS: list[Any] = [{"id": "a", "position": {"x": 1}}, {"id": "b"}, {"id": "c"}]
BEFORE = {
    "name": "Evening",
    "layers": LAYERS,
    "metadata": {"tags": ["one"]},
}


@pytest.mark.parametrize(
    ("description", "after"),
    [
        ({"updatedFields": {"name": "Morning"}}, {"name": "Morning"}),
        (
            {"updatedFields": {"layers.1.color": "red"}},
            {"layers": [LAYERS[0], {"id": "b", "color": "red"}, {"id": "c"}]},
        ),
        ({"updatedFields": {"layers.3": {"id": "d"}}}, {"layers": [*LAYERS, {"id": "d"}]}),
        ({"updatedFields": {"layers.4": 5}}, {"layers": [*LAYERS, None, 5]}),
        (
            {"truncatedArrays": [{"field": "layers", "newSize": 1}], "updatedFields": {"layers.0.position.x": 2}},
            {"layers": [{"id": "a", "position": {"x": 2}}]},
        ),
        (
            {"updatedFields": {"metadata.canvasSize.width": 1}},
            {"metadata": {"tags": ["one"], "canvasSize": {"width": 1}}},
        ),
        ({"updatedFields": {"avatarId": "x"}, "removedFields": ["metadata.tags"]}, {"avatarId": "x", "metadata": {}}),
        ({"updatedFields": {"change.at": 1}}, {"change": {"at": 1}}),
        ({"updatedFields": {}, "removedFields": []}, {}),
    ],
)
def test_the_document_after(description: dict[str, Any], after: dict[str, Any]) -> None:
    before = copy.deepcopy(BEFORE)

    assert applied(before, description) == BEFORE | after
    assert before == BEFORE


def test_a_field_that_is_removed_is_gone() -> None:
    assert applied(BEFORE, {"removedFields": ["name", "layers", "nothing"]}) == {"metadata": {"tags": ["one"]}}


def test_what_an_update_touched() -> None:
    description = {
        "updatedFields": {"layers.0": 1},
        "removedFields": ["name"],
        "truncatedArrays": [{"field": "metadata.tags", "newSize": 0}],
    }

    assert paths_of(description) == ["layers.0", "name", "metadata.tags"]
    assert paths_of({}) == []
