"""The objects of one level, made of their leaves and of columns of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING, Any, Final

from api.execution.codegen import Column, LevelCode, is_inline, sizes_of
from api.execution.declarations import Plain, ReadColumns
from api.execution.paths import Paths
from api.execution.sizes import LONG

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan

BY_COLUMN: Final = 10
"""The number of objects in a level from which rows are read, completed and counted by column, which costs a part of
what each value does, but something for each column."""


class Level:
    """The fields of a level's objects, or some of them."""

    def __init__(self, fields: Sequence[FieldPlan], read_columns: ReadColumns | None) -> None:
        self._inline = [field for field in fields if is_inline(field)]
        self._apart = [field for field in fields if not is_inline(field)]
        self._texts = [field for field in self._inline if field.constant is None]
        self._heavy = [field for field in self._texts if field.text_weight is not None]
        self._sizes = sizes_of([field for field in self._texts if field.text_weight is None])
        self._code = LevelCode(fields, [*self._apart, *self._inline])
        self._read_columns = read_columns if self._texts and all(map(_has_column, self._texts)) else None

    def objects(
        self,
        execution: Execution,
        sources: Sequence[Any],
        paths: Paths,
        into: Sequence[dict[str, Any]] | None = None,
    ) -> Sequence[dict[str, Any]]:
        """The objects of these sources, or the fields put `into` these objects.

        What has to be waited for is put into them later.
        """
        waiting: list[Column] = []
        columns = [field.values(execution, sources, paths, waiting) for field in self._apart]
        self._code.reached(len(sources))
        inline = self._by_column(execution, sources, paths.counts)
        objects = self._code.shaped(sources, columns) if inline is None else None
        if objects is None:
            columns += inline or [field.values(execution, sources, paths, waiting) for field in self._inline]
            objects = self._code.joined(columns, len(sources))
        else:
            self._measure_inline(execution, objects, paths.counts)
        if into is not None:
            for whole, some in zip(into, objects, strict=True):
                whole.update(some)
        for column in waiting:
            column.objects = into or objects
        return into or objects

    def _by_column(
        self, execution: Execution, sources: Sequence[Any], counts: Sequence[int] | None
    ) -> list[Sequence[Any]] | None:
        """The columns of inline fields, where the sources are read by column. None where a value doesn't complete."""
        if self._read_columns is None or len(sources) < BY_COLUMN:
            return None
        read = self._read_columns(sources)
        if read is None:
            return None
        found = []
        for field in self._inline:
            if (values := field.of_columns(read, len(sources))) is None:
                return None
            found.append(values)
        for field, values in zip(self._inline, found, strict=True):
            field.measure(execution, values, counts)
        return found

    def _measure_inline(
        self, execution: Execution, objects: Sequence[dict[str, Any]], counts: Sequence[int] | None
    ) -> None:
        long = self._heavy
        if self._sizes is not None:
            try:
                sizes = self._sizes(objects)
            except TypeError:  # some items of lists are null
                long = self._texts
            else:
                if sum(sizes) < LONG * len(objects):
                    execution.size_budget.take(sum(sizes) if counts is None else sum(map(mul, sizes, counts)))
                else:
                    long = self._texts
        for field in long:
            field.measure(execution, [made[field.key] for made in objects], counts)


def _has_column(field: FieldPlan) -> bool:
    return isinstance(field.declaration, Plain) and field.declaration.column is not None
