"""Resolving one field for all objects of a level: read, loaded in one batch, or asked of its resolver one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphql.pyutils import Path

from api.execution.completion import Deliver
from api.execution.declarations import Batch, Loading, Place, Plain
from api.execution.errors import Failure
from api.execution.places import Places

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan


def resolve(field: FieldPlan, execution: Execution, sources: Sequence[Any], places: Places, deliver: Deliver) -> None:
    """Deliver the field's completed values, one a source, now or later. `places` are those of the sources."""
    key, parent, name = field.key, field.parent.name, field.name

    def path_below(index: int) -> Path:
        place = Place(places.path(index), key, parent)
        place.source, place.name = sources[index], name
        return place

    below = Places(path_below, places.times)
    if execution.large and field.arguments.takes_variables:
        execution.in_turn(lambda: _resolve(field, execution, sources, below, deliver))
    else:
        _resolve(field, execution, sources, below, deliver)


def _resolve(field: FieldPlan, execution: Execution, sources: Sequence[Any], below: Places, deliver: Deliver) -> None:
    declared = field.declaration
    if isinstance(declared, Plain):
        field.completion.complete(execution, _read(field, declared, sources), below, deliver)
    elif declared is not None:
        _load(declared, field, execution, sources, below, deliver)
    else:
        values = [_call(field, execution, source, below.path(index)) for index, source in enumerate(sources)]
        field.completion.complete(execution, values, below, deliver)


def _read(field: FieldPlan, plain: Plain, sources: Sequence[Any]) -> Sequence[Any]:
    try:
        return field.read_all(plain, sources)
    except Exception:  # which of them it is tells only one at a time
        return [_read_one(plain.read, source) for source in sources]


def _read_one(read: Any, source: Any) -> Any:
    try:
        return read(source)
    except Exception as error:
        return Failure(error)


def _call(field: FieldPlan, execution: Execution, source: Any, path: Path | None) -> Any:
    presented = field.presented
    try:
        if presented is not None:
            source = presented(source)
        return field.resolve(source, execution.info(field, path), **field.arguments.fresh(execution))
    except Exception as error:
        return Failure(error)


def _load(
    batch: Batch,
    field: FieldPlan,
    execution: Execution,
    sources: Sequence[Any],
    places: Places,
    deliver: Deliver,
) -> None:
    def complete(values: Sequence[Any]) -> None:
        field.completion.complete(execution, values, places, deliver)

    try:
        path = Path(None, field.key, field.parent.name)
        loaded = batch.load(sources, execution.info(field, path), field.arguments.prepared(execution))
    except Exception as error:
        complete([Failure(error)] * len(sources))
        return
    if not isinstance(loaded, Loading):
        complete(_one_each(field, loaded, sources))
        return
    place, instead = loaded.place, loaded.instead

    def arrived(result: Any) -> None:
        try:
            if type(result) is not Failure:
                result = _one_each(field, place(result), sources)
            elif instead is not None and (values := instead(result.error)) is not None:
                result = _one_each(field, values, sources)
        except Exception as error:
            result = Failure(error)
        complete([result] * len(sources) if type(result) is Failure else result)

    execution.jobs.start(loaded.awaitable, arrived)


def _one_each(field: FieldPlan, values: Sequence[Any], sources: Sequence[Any]) -> Sequence[Any]:
    if len(values) != len(sources):
        message = f"the batch of {field.parent}.{field.name} gave {len(values)} values for {len(sources)} sources"
        return [Failure(RuntimeError(message))] * len(sources)
    return values
