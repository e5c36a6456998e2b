"""Resolving one field for all objects of a level: by reading it, by one batch, or by calling its resolver for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphql.pyutils import Path

from api.execution.completion.base import Deliver
from api.execution.declarations import Batch, FieldPath, Loading, Plain
from api.execution.errors import Failure
from api.execution.paths import Paths

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan


def resolve(field: FieldPlan, execution: Execution, sources: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
    """Deliver the field's completed values, one for each source, now or later. `paths` are the paths of the sources."""
    key, parent, name = field.key, field.parent.name, field.name

    def path_below(index: int) -> Path:
        path = FieldPath(paths.path(index), key, parent)
        path.source, path.name = sources[index], name
        return path

    below = Paths(path_below, paths.counts)
    if execution.large and field.arguments.takes_variables:
        execution.in_turn(lambda: _resolve(field, execution, sources, below, deliver))
    else:
        _resolve(field, execution, sources, below, deliver)


def _resolve(field: FieldPlan, execution: Execution, sources: Sequence[Any], below: Paths, deliver: Deliver) -> None:
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
    except Exception:  # reading them one at a time tells which of them failed
        return [_read_one(plain.read, source) for source in sources]


def _read_one(read: Any, source: Any) -> Any:
    try:
        return read(source)
    except Exception as error:
        return Failure(error)


def _call(field: FieldPlan, execution: Execution, source: Any, path: Path | None) -> Any:
    from_source = field.from_source
    try:
        if from_source is not None:
            source = from_source(source)
        return field.resolve(source, execution.info(field, path), **field.arguments.fresh(execution))
    except Exception as error:
        return Failure(error)


def _load(
    batch: Batch,
    field: FieldPlan,
    execution: Execution,
    sources: Sequence[Any],
    paths: Paths,
    deliver: Deliver,
) -> None:
    def complete(values: Sequence[Any]) -> None:
        field.completion.complete(execution, values, paths, deliver)

    try:
        path = Path(None, field.key, field.parent.name)
        loaded = batch.load(sources, execution.info(field, path), field.arguments.prepared(execution))
    except Exception as error:
        complete([Failure(error)] * len(sources))
        return
    if not isinstance(loaded, Loading):
        complete(_one_each(field, loaded, sources))
        return
    values_of, values_on_error = loaded.values, loaded.values_on_error

    def arrived(result: Any) -> None:
        try:
            if type(result) is not Failure:
                result = _one_each(field, values_of(result), sources)
            elif values_on_error is not None and (values := values_on_error(result.error)) is not None:
                result = _one_each(field, values, sources)
        except Exception as error:
            result = Failure(error)
        complete([result] * len(sources) if type(result) is Failure else result)

    execution.awaitables.start(loaded.awaitable, arrived)


def _one_each(field: FieldPlan, values: Sequence[Any], sources: Sequence[Any]) -> Sequence[Any]:
    if len(values) != len(sources):
        message = f"the batch of {field.parent}.{field.name} gave {len(values)} values for {len(sources)} sources"
        return [Failure(RuntimeError(message))] * len(sources)
    return values
