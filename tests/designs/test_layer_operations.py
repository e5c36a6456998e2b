"""Operations on a list of layers, differences between two lists, and which operations can follow others' changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.designs.diff import diff_fields, diff_layers, may_have_moved
from api.designs.patch import Layer, Problem, apply, conflicts, contested
from api.designs.patch_operations import Add, LayerOperation, Move, Remove, Reorder, Update
from api.designs.validation import LayerValues

COLORS = ("red", "green", "blue")


def layer(id: str, **values: Any) -> dict[str, Any]:
    return {"id": id, "type": "fabric", "position": {"x": 0.0, "y": 0.0, "z": 0.0}, "visible": True, **values}


def add(id: str, index: int | None = None, **values: Any) -> Add:
    return Add(layer=LayerValues.model_validate({"id": id, "type": "fabric", **values}), index=index)


def update(id: str, **values: Any) -> Update:
    return Update.model_validate({"layer_id": id, **values})


def ids(layers: Sequence[Layer]) -> list[Any]:
    return [layer["id"] for layer in layers]


def applied(layers: Sequence[Layer], *operations: LayerOperation) -> list[Layer]:
    patched, problems = apply(layers, operations)
    assert problems == []
    return patched


ABC = [layer("a"), layer("b", color="red", scale={"x": 2, "y": 2}), layer("c")]


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        (add("d"), "abcd"),
        (add("d", 0), "dabc"),
        (add("d", 3), "abcd"),
        (Move(layer_id="a", index=2), "bca"),
        (Move(layer_id="c", index=0), "cab"),
        (Move(layer_id="b", index=1), "abc"),
        (Remove(layer_id="b"), "ac"),
        (Reorder(layer_ids=["c", "a", "b"]), "cab"),
    ],
)
def test_places(operation: LayerOperation, after: str) -> None:
    before = [dict(layer) for layer in ABC]

    assert ids(applied(ABC, operation)) == list(after)
    assert before == ABC


def test_an_update_leaves_the_rest() -> None:
    changed = update("b", color=None, rotation=90, position={"x": 5, "y": 6}, visible=False)

    assert applied(ABC, changed)[1] == {
        "id": "b",
        "type": "fabric",
        "position": {"x": 5, "y": 6, "z": 0},
        "visible": False,
        "rotation": 90,
        "scale": {"x": 2, "y": 2},
    }


def test_each_operation_sees_those_before_it() -> None:
    after = applied(ABC, add("d", 0), update("d", color="blue"), Remove(layer_id="a"), Move(layer_id="d", index=2))

    assert ids(after) == ["b", "c", "d"]
    assert after[2]["color"] == "blue"


@pytest.mark.parametrize(
    ("operation", "path", "message", "missing"),
    [
        (add("a"), ("layer", "id"), "another layer has this id", False),
        (add("d", 4), ("index",), "must be at most 3", False),
        (Move(layer_id="a", index=3), ("index",), "must be at most 2", False),
        (Move(layer_id="x", index=0), ("layerId",), "There is no such layer.", True),
        (update("x"), ("layerId",), "There is no such layer.", True),
        (Remove(layer_id="x"), ("layerId",), "There is no such layer.", True),
        (Reorder(layer_ids=["a", "b"]), ("layerIds",), "must name every layer once", False),
        (Reorder(layer_ids=["a", "b", "b"]), ("layerIds",), "must name every layer once", False),
        (Reorder(layer_ids=["a", "b", "c", "d"]), ("layerIds",), "must name every layer once", False),
    ],
)
def test_what_cant_be_applied(operation: LayerOperation, path: tuple[str, ...], message: str, missing: bool) -> None:
    assert apply(ABC, [operation]) == (ABC, [Problem(0, path, message, missing)])


def test_every_problem_is_told() -> None:
    _, problems = apply(ABC, [Remove(layer_id="x"), Remove(layer_id="a"), Remove(layer_id="a")])

    assert [(problem.operation, problem.path) for problem in problems] == [(0, ("layerId",)), (2, ("layerId",))]


def test_a_design_has_at_most_200_layers() -> None:
    many = [layer(str(number)) for number in range(199)]

    assert len(applied(many, add("a"))) == 200
    assert [problem.operation for problem in apply(many, [add("a"), add("b"), add("c")])[1]] == [1, 2]
    # one from before there was a limit can still be worked on
    more = [layer(str(number)) for number in range(300)]
    assert len(applied(more, Remove(layer_id="1"), add("a"), update("a", color="red"))) == 300
    assert [problem.operation for problem in apply(more, [add("a")])[1]] == [0]


def test_an_index_beyond_the_end_can_mean_the_end() -> None:
    after, problems = apply(ABC, [Move(layer_id="a", index=9), add("d", 9)], clamp=True)

    assert (ids(after), problems) == (["b", "c", "a", "d"], [])


def test_what_happened_to_the_layers() -> None:
    after = applied(
        ABC, update("b", color="blue", scale=None), Remove(layer_id="a"), add("d", 0), Move(layer_id="c", index=1)
    )

    found = diff_layers(ABC, after)

    assert ids(after) == ["d", "c", "b"]
    assert (ids(found.added), ids(found.removed)) == (["d"], ["a"])
    [change] = found.changed
    assert [(field.field, field.before, field.after) for field in change.fields] == [
        ("scale", {"x": 2, "y": 2}, None),
        ("color", "red", "blue"),
    ]
    assert (change.before, change.after) == (ABC[1], after[2])
    assert [(move.layer["id"], move.before, move.after) for move in found.moved] in (
        [("b", 1, 2)],
        [("c", 2, 1)],
    )


def test_what_older_documents_lack_is_no_difference() -> None:
    old = {"id": "a", "type": "fabric", "position": {"_id": 1, "x": 0, "y": 0}, "itemId": None}

    assert diff_layers([old], [layer("a")]).changed == ()
    assert diff_fields({"name": "a", "metadata": None}, {"name": "a", "metadata": {"tags": []}}) == ()


def test_what_changed_beside_the_layers() -> None:
    before = {"name": "a", "status": "draft", "metadata": {"tags": ["x"], "canvasSize": {"width": 1, "height": 2}}}
    after = {"name": "b", "status": "draft", "avatarId": "me", "metadata": {"tags": ["x", "y"], "description": "c"}}

    assert [(change.field, change.before, change.after) for change in diff_fields(before, after)] == [
        ("name", "a", "b"),
        ("avatarId", None, "me"),
        ("metadata.tags", ["x"], ["x", "y"]),
        ("metadata.description", None, "c"),
        ("metadata.canvasSize", {"width": 1, "height": 2}, None),
    ]


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [("abc", "abc", ""), ("abcd", "bcda", "a"), ("abcd", "bacd", "ab"), ("abcd", "dabc", "d"), ("abc", "xcy", "")],
)
def test_what_somebody_may_have_moved(before: str, after: str, moved: str) -> None:
    assert may_have_moved(before, after) == set(moved)


RED = update("a", color="red")
TO_THE_END = Move(layer_id="a", index=2)


@pytest.mark.parametrize(
    ("theirs", "mine", "conflict"),
    [
        (RED, update("b", color="red"), False),
        (RED, update("a", rotation=1), True),
        (RED, Remove(layer_id="a"), True),
        (RED, Remove(layer_id="b"), False),
        (RED, Move(layer_id="a", index=1), False),
        (RED, Reorder(layer_ids=["b", "c", "a"]), False),
        (RED, add("d", 0), False),
        (Remove(layer_id="a"), RED, True),
        (Remove(layer_id="a"), Remove(layer_id="a"), True),
        (Remove(layer_id="a"), TO_THE_END, True),
        (Remove(layer_id="a"), Move(layer_id="b", index=2), False),
        (Remove(layer_id="a"), Reorder(layer_ids=["c", "b", "a"]), True),
        (Remove(layer_id="a"), add("a"), True),
        (TO_THE_END, RED, False),
        (TO_THE_END, Remove(layer_id="a"), False),
        (TO_THE_END, Move(layer_id="a", index=1), True),
        (TO_THE_END, Move(layer_id="c", index=0), False),
        (TO_THE_END, Reorder(layer_ids=["c", "b", "a"]), True),
        (add("d"), add("d"), True),
        (add("d"), add("e"), False),
        (add("d"), Reorder(layer_ids=["c", "b", "a"]), True),
        (Reorder(layer_ids=["c", "b", "a"]), RED, False),
    ],
)
def test_what_can_follow_what(theirs: LayerOperation, mine: LayerOperation, conflict: bool) -> None:
    assert conflicts(ABC, applied(ABC, theirs), [mine]) == ([0] if conflict else [])


def test_what_is_contested_has_names() -> None:
    mine: list[LayerOperation] = [update("b", rotation=1), Remove(layer_id="a"), add("d"), Move(layer_id="a", index=0)]
    theirs = applied(ABC, RED, add("d"), Remove(layer_id="c"))

    assert contested(ABC, theirs, mine, conflicts(ABC, theirs, mine)) == ["a", "d"]
    assert contested(ABC, theirs, [Reorder(layer_ids=["c", "b", "a"])], [0]) == ["c", "d"]


@st.composite
def stacks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to eight layers, `a` and so on, in any order."""
    chosen = draw(st.lists(st.sampled_from("abcdefgh"), unique=True))
    return [layer(id, color=draw(st.sampled_from(COLORS))) for id in chosen]


@st.composite
def patches(
    draw: st.DrawFn, layers: Sequence[Layer], of: str, new: str, *, orders: bool = True
) -> list[LayerOperation]:
    """Operations that can be applied to these layers in their order, touching only those of `of` and `new`."""
    operations: list[LayerOperation] = []
    for _ in range(draw(st.integers(0, 5))):
        present = ids(apply(layers, operations)[0])
        mine = [id for id in present if id in of or id in new]
        absent = [id for id in new if id not in present and id not in ids(layers)]
        kinds = ["add"] * bool(absent) + ["update", "remove"] * bool(mine) + ["move"] * bool(mine and orders)
        if not kinds:
            break
        index = st.integers(0, max(len(present) - 1, 0))
        match draw(st.sampled_from(kinds)):
            case "add":
                operations.append(add(absent[0], draw(st.none() | index)))
            case "update":
                operations.append(update(draw(st.sampled_from(mine)), color=draw(st.sampled_from(COLORS))))
            case "remove":
                operations.append(Remove(layer_id=draw(st.sampled_from(mine))))
            case "move":
                operations.append(Move(layer_id=draw(st.sampled_from(mine)), index=draw(index)))
    return operations


@settings(deadline=None)
@given(st.data())
def test_a_difference_says_what_a_patch_did(data: st.DataObject) -> None:
    before = data.draw(stacks())
    after = applied(before, *data.draw(patches(before, "abcdefgh", "xyz")))

    found = diff_layers(before, after)

    # the difference is enough to get from one to the other
    gone, moved = ids(found.removed), [move.layer["id"] for move in found.moved]
    changed = {change.after["id"]: change.after for change in found.changed}
    new = {layer["id"]: layer for layer in found.added}
    stayed = [layer["id"] for layer in before if layer["id"] not in gone and layer["id"] not in moved]
    assert stayed == [id for id in ids(after) if id not in new and id not in moved]
    contents = {layer["id"]: changed.get(layer["id"], layer) for layer in before if layer["id"] not in gone} | new
    assert [contents[id] for id in ids(after)] == after
    for move in found.moved:
        assert (ids(before)[move.before], ids(after)[move.after]) == (move.layer["id"], move.layer["id"])
    # and says no more than that
    assert all(change.before != change.after for change in found.changed)
    assert set(moved) <= may_have_moved(ids(before), ids(after))
    again = diff_layers(after, after)
    assert (again.added, again.removed, again.changed, again.moved) == ((), (), (), ())


@settings(deadline=None)
@given(st.data())
def test_patches_of_different_layers_go_together(data: st.DataObject) -> None:
    base = data.draw(stacks())
    theirs = data.draw(patches(base, "abcd", "xyz", orders=False))
    mine = data.draw(patches(base, "efgh", "uvw", orders=False))
    current = applied(base, *theirs)

    assert conflicts(base, current, mine) == []
    rebased, problems = apply(current, mine, clamp=True)

    # as if mine had come first, whatever the order
    other, _ = apply(applied(base, *mine), theirs, clamp=True)
    assert problems == []
    assert {layer["id"]: layer for layer in rebased} == {layer["id"]: layer for layer in other}
    # nothing of theirs is undone
    happened = diff_layers(current, rebased)
    touched = {layer["id"] for layer in (*happened.added, *happened.removed)}
    assert touched.union(change.after["id"] for change in happened.changed) <= set("efghuvw")


@settings(deadline=None)
@given(st.data())
def test_what_does_not_conflict_can_be_applied_and_undoes_no_content(data: st.DataObject) -> None:
    base = data.draw(stacks())
    current = applied(base, *data.draw(patches(base, "abcdefgh", "xyz")))
    mine = data.draw(patches(base, "abcdefgh", "uvw"))

    if conflicts(base, current, mine):
        return
    rebased, problems = apply(current, mine, clamp=True)

    assert problems == []
    theirs, ours = diff_layers(base, current), diff_layers(current, rebased)
    changed_by_them = {change.after["id"] for change in theirs.changed} | set(ids(theirs.added))
    changed_by_us = {change.after["id"] for change in ours.changed} | set(ids(ours.removed))
    assert not changed_by_them & changed_by_us
