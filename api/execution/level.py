"""The objects of one level, made of their leaves and of columns of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING, Any

from api.execution.codegen import Column, LevelCode, is_inline, sizes_of
from api.execution.paths import Paths
from api.execution.sizes import LONG

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan


class Level:
    """The fields of a level's objects, or some of them."""

    def __init__(self, fields: Sequence[FieldPlan]) -> None:
        self._inline = [field for field in fields if is_inline(field)]
        self._apart = [field for field in fields if not is_inline(field)]
        self._texts = [field for field in self._inline if field.constant is None]
        self._heavy = [field for field in self._texts if field.text_weight is not None]
        self._sizes = sizes_of([field for field in self._texts if field.text_weight is None])
        self._code = LevelCode(fields, [*self._apart, *self._inline])

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
        objects = self._code.shaped(sources, columns)
        if objects is None:
            columns += [field.values(execution, sources, paths, waiting) for field in self._inline]
            objects = self._code.joined(columns, len(sources))
        else:
            self._measure_inline(execution, objects, paths.counts)
        if into is not None:
            for whole, some in zip(into, objects, strict=True):
                whole.update(some)
        for column in waiting:
            column.objects = into or objects
        return into or objects

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
