"""Interfaces and unions: values are grouped by their object type, and each group is completed as one level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLAbstractType,
    GraphQLError,
    GraphQLObjectType,
    Undefined,
    default_type_resolver,
    is_object_type,
)
from graphql.pyutils import Path, inspect

from api.execution.completion.base import Completion, Deliver
from api.execution.completion.objects import ObjectCompletion
from api.execution.errors import Failure
from api.execution.paths import Paths, field_path

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan, ObjectPlan


class AbstractCompletion(Completion):
    """An object of one of several types."""

    def __init__(self, field: FieldPlan, type_: GraphQLAbstractType, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self.type = type_
        self._schema = field.selections.schema
        self._concrete: dict[str, ObjectCompletion] = {}
        self._by_class: dict[type, str | None] = {}

    def _complete(self, execution: Execution, values: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
        results = [self._absent(execution, value) for value in values]
        indices = [index for index, result in enumerate(results) if result is Undefined]

        def resolved(names: Sequence[Any]) -> None:
            groups: dict[str, list[int]] = {}
            for index, name in zip(indices, names, strict=True):
                try:
                    groups.setdefault(self._possible(name, values[index]).name, []).append(index)
                except Exception as error:
                    results[index] = execution.fail(error)
            self._complete_groups(execution, values, groups, results, paths, deliver)

        names = [self._name(execution, values[index], paths.path(index)) for index in indices]
        execution.settle(names, resolved)

    def _complete_groups(
        self,
        execution: Execution,
        values: Sequence[Any],
        groups: dict[str, list[int]],
        results: list[Any],
        paths: Paths,
        deliver: Deliver,
    ) -> None:
        missing = len(groups)
        if not missing:
            deliver(results)

        def group_done(name: str, indices: list[int], completed: Sequence[Any]) -> None:
            nonlocal missing
            concrete = self._of(name)
            for index, made in zip(indices, completed, strict=True):
                results[index] = made
                if type(made) is dict:
                    execution.plans[id(made)] = self.field.plan_of(concrete.type)
            missing -= 1
            if not missing:
                deliver(results)

        for name, indices in groups.items():
            self._of(name).complete(
                execution,
                [values[index] for index in indices],
                paths.some(indices),
                lambda completed, name=name, indices=indices: group_done(name, indices, completed),  # type: ignore[misc]
            )

    def _of(self, name: str) -> ObjectCompletion:
        found = self._concrete.get(name)
        if found is None:
            type_: Any = self._schema.get_type(name)
            found = self._concrete[name] = ObjectCompletion(self.field, type_, non_null=self.non_null)
        return found

    def _name(self, execution: Execution, value: Any, path: Path | None) -> Any:
        """The name of the value's type, or an awaitable of it. It may be None, or wrong."""
        known = self._known(type(value))
        if known is not None:
            return known
        resolve = self.type.resolve_type or default_type_resolver
        try:
            return resolve(value, execution.info(self.field, field_path(path)), self.type)
        except Exception as error:
            return Failure(error)

    def _known(self, class_: type) -> str | None:
        """The name of the type whose sources are of this class; None where no type, or more than one, says so."""
        if class_ not in self._by_class:
            is_source = self.field.selections.declarations.is_source
            names = [type_.name for type_ in self._schema.get_possible_types(self.type) if is_source(type_, class_)]
            self._by_class[class_] = names[0] if len(names) == 1 else None
        return self._by_class[class_]

    def _possible(self, name: Any, value: Any) -> GraphQLObjectType:
        """The type with this name. Raises GraphQLError, as graphql-core does, where the field can't be of this type."""
        if type(name) is Failure:
            raise name.error
        field, type_ = self.field, self.type
        where = f"for field '{field.parent}.{field.name}'"
        must = f"Abstract type '{type_}' must resolve to an Object type at runtime {where}"
        if name is None:
            raise GraphQLError(
                f"{must}. Either the '{type_}' type should provide a 'resolve_type' function or each possible type"
                " should provide an 'is_type_of' function.",
                field.nodes,
            )
        if not isinstance(name, str):
            raise GraphQLError(
                f"{must} with value {inspect(value)}, received '{inspect(name)}',"
                " which is not a valid Object type name.",
                field.nodes,
            )
        named = self._schema.get_type(name)
        if named is None:
            raise GraphQLError(
                f"Abstract type '{type_}' was resolved to a type '{name}' that does not exist inside the schema.",
                field.nodes,
            )
        if not is_object_type(named):
            raise GraphQLError(f"Abstract type '{type_}' was resolved to a non-object type '{name}'.", field.nodes)
        if not self._schema.is_sub_type(type_, named):
            raise GraphQLError(f"Runtime Object type '{named}' is not a possible type for '{type_}'.", field.nodes)
        return named

    def plan_of(self, value: Any, plans: dict[int, ObjectPlan]) -> ObjectPlan | None:
        return plans.get(id(value))
