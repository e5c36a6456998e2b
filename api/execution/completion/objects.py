"""Objects of a known type: the values of one level are the sources of the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from graphql import GraphQLError, GraphQLObjectType, Undefined
from graphql.pyutils import Path, inspect

from api.execution.completion.base import Completion, Deliver
from api.execution.errors import Failure
from api.execution.paths import Paths, field_path

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan, ObjectPlan


_NULL: Final = {NoneType}
_MAX_CLASSES: Final = 16
"""How many classes of sources are remembered for a field: rows may have one for each statement."""
_SHARED: Final = 0.75
"""Objects of a batch are shared if at most this part of them are different ones; else looking for them costs more."""


class ObjectCompletion(Completion):
    """An object of a known type: its sources are the next level."""

    def __init__(self, field: FieldPlan, type_: GraphQLObjectType, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self.type = type_
        self._classes: set[type] = set()
        """Classes that are known to be sources of the type, so that `is_type_of` needn't be asked."""

    def _complete(self, execution: Execution, values: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
        kinds = set(map(type, values))
        if not kinds <= self._classes:
            self._admit(kinds)
        if kinds <= self._classes:
            deliver(self._objects(execution, values, paths))
            return
        if not self.non_null and kinds - self._classes == _NULL:
            present = [index for index, value in enumerate(values) if value is not None]
            some = [values[index] for index in present]
            objects = iter(self._objects(execution, some, paths.some(present)) if some else ())
            deliver([None if value is None else next(objects) for value in values])
            return
        values = self._with_substitutes(execution, values, paths)
        results = [self._absent(execution, value) for value in values]
        indices = [index for index, result in enumerate(results) if result is Undefined]

        def checked(answers: Sequence[Any]) -> None:
            kept = []
            for index, answer in zip(indices, answers, strict=True):
                if type(answer) is Failure:
                    results[index] = execution.fail(answer.error)
                elif not answer:
                    results[index] = execution.fail(self._wrong(values[index]))
                else:
                    kept.append(index)
            objects = self._objects(execution, [values[index] for index in kept], paths.some(kept))
            for index, made in zip(kept, objects, strict=True):
                results[index] = made
            deliver(results)

        if self.type.is_type_of is not None:
            answers = [self._ask(execution, values[index], paths.path(index)) for index in indices]
            execution.settle(answers, checked)
        else:
            checked([True] * len(indices))

    def _can_show(self, value: Any) -> bool:
        return self.field.selections.declarations.is_source(self.type, type(value))

    def _admit(self, kinds: set[type]) -> None:
        """Note which of these classes are sources of the type."""
        is_source = self.field.selections.declarations.is_source
        new = {kind for kind in kinds - self._classes if is_source(self.type, kind)}
        self._classes = new if len(self._classes) > _MAX_CLASSES else self._classes | new

    def _ask(self, execution: Execution, value: Any, path: Path | None) -> Any:
        if type(value) in self._classes:
            return True
        assert self.type.is_type_of is not None
        try:
            return self.type.is_type_of(value, execution.info(self.field, field_path(path)))
        except Exception as error:
            return Failure(error)

    def _objects(self, execution: Execution, sources: Sequence[Any], paths: Paths) -> Sequence[Any]:
        try:
            plan = self.field.plan_of(self.type)
        except GraphQLError as error:  # a condition that is null
            return [execution.fail(error) for _ in sources]
        if self.field.shares and len(set(map(id, sources))) <= _SHARED * len(sources):
            unique = {id(source): source for source in sources}
            firsts: dict[int, int] = {}
            for index, source in enumerate(sources):
                firsts.setdefault(id(source), index)
            shared = Paths(paths.some(list(firsts.values())).path, _counts(sources, paths.counts))
            made = plan.run(execution, list(unique.values()), shared)
            objects = dict(zip(unique, made, strict=True))
            return [objects[id(source)] for source in sources]
        return plan.run(execution, sources, paths)

    def _wrong(self, value: Any) -> GraphQLError:
        return GraphQLError(f"Expected value of type '{self.type}' but got: {inspect(value)}.", self.field.nodes)

    def plan_of(self, value: Any, plans: dict[int, ObjectPlan]) -> ObjectPlan | None:
        return self.field.plan_of(self.type)


def _counts(sources: Sequence[Any], counts: Sequence[int] | None) -> Sequence[int]:
    """How often each of the different sources occurs in the response, in the order of their first occurrence."""
    if counts is None:
        return list(Counter(map(id, sources)).values())
    summed = dict.fromkeys(map(id, sources), 0)
    for source, each in zip(sources, counts, strict=True):
        summed[id(source)] += each
    return list(summed.values())
