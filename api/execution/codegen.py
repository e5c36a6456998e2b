"""Generated code: one function for each level, which makes all response objects of the level in one expression.

The code is made of the expressions in the declarations and of the response keys, which can only be names in GraphQL.
The function raises where a value doesn't complete; the level is then completed field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from api.execution.declarations import Plain

if TYPE_CHECKING:
    from api.execution.plan import FieldPlan

Shape = Callable[[Sequence[Any], Iterable[Iterable[Any]]], list[dict[str, Any]]]
"""Makes the objects of a level from the sources, and a column of completed values for each field that isn't inline."""
Join = Callable[[Iterable[Iterable[Any]]], list[dict[str, Any]]]
"""Makes the objects of a level from the completed values of each field."""
Reader = Callable[[Sequence[Any]], Sequence[Any]]

GENERATED_FROM: Final = 1
"""How often a level is executed before code is generated for it: most documents that nobody registered are sent
once."""
GENERATED_AT: Final = 200
"""The number of objects in a level for which code is generated at once: making so many without it takes as long."""
MAX_FIELDS: Final = 500
"""The most fields in a level for which code is generated: compiling takes some microseconds for each of them."""


class Column:
    """The values of one field of a level. They arrive before the level's objects are made, or are put into them
    later."""

    __slots__ = ("_key", "objects", "values")

    def __init__(self, key: str) -> None:
        self._key = key
        self.values: Sequence[Any] | None = None
        self.objects: Sequence[dict[str, Any]] | None = None

    def deliver(self, values: Sequence[Any]) -> None:
        """Take the completed values, one for each object."""
        if self.objects is None:
            self.values = values
            return
        key = self._key
        for made, value in zip(self.objects, values, strict=True):
            made[key] = value


class LevelCode:
    """The generated code of a level: made once the level is reached often enough, or by enough objects.

    `given` are the same fields in the order in which columns are given: those that aren't inline first.
    """

    def __init__(self, fields: Sequence[FieldPlan], given: Sequence[FieldPlan]) -> None:
        self._fields = fields
        self._keys = [field.key for field in fields]
        self._given = [field.key for field in given]
        self._runs = 0
        self._is_due = False
        self._shape: Shape | None = None
        self._join: Join | None = None

    def reached(self, count: int) -> None:
        """Note that so many objects have reached the level."""
        if not self._is_due:
            self._runs += 1
            often = self._runs > GENERATED_FROM or count >= GENERATED_AT
            self._is_due = often and len(self._fields) <= MAX_FIELDS

    def shaped(self, sources: Sequence[Any], columns: Sequence[Sequence[Any]]) -> list[dict[str, Any]] | None:
        """The objects, from columns of what isn't inline. None where code isn't due, or a value doesn't complete."""
        if not self._is_due:
            return None
        if self._shape is None:
            self._shape = shape_of(self._fields)
        try:
            return self._shape(sources, columns)
        except Exception:
            return None  # one of them fails: which, and with which error, is found out field by field

    def joined(self, columns: Sequence[Sequence[Any]], count: int) -> list[dict[str, Any]]:
        """The objects, from the completed columns of all fields."""
        if not columns:
            return [{} for _ in range(count)]
        if self._is_due:
            if self._join is None:
                self._join = join_of(self._keys, self._given)
            return self._join(columns)
        by_key = dict(zip(self._given, columns, strict=True))
        rows = zip(*[by_key[key] for key in self._keys], strict=True)
        return [dict(zip(self._keys, row, strict=True)) for row in rows]


def is_inline(field: FieldPlan) -> bool:
    """Whether the generated code completes the field itself: it does so for leaves that are read by an expression."""
    if field.constant is not None:
        return True
    declared = field.declaration
    return isinstance(declared, Plain) and declared.expression is not None and field.completion.inline is not None


def shape_of(fields: Sequence[FieldPlan]) -> Shape:
    """The function that makes the objects of a level. It raises where a value doesn't complete."""
    names: dict[str, Any] = {}
    given = [f"given_{index}" for index, field in enumerate(fields) if not is_inline(field)]
    made = ", ".join(f"{field.key!r}: {_expression(field, index, names)}" for index, field in enumerate(fields))
    loop = f"source, {', '.join(given)} in zip(sources, *columns, strict=True)" if given else "source in sources"
    return _function(f"lambda sources, columns: [{{{made}}} for {loop}]", names)


def join_of(keys: Sequence[str], given: Sequence[str]) -> Join:
    """The function that makes objects with these keys, in this order. It takes a column for each of the given keys."""
    names = {key: f"value_{index}" for index, key in enumerate(given)}
    made = ", ".join(f"{key!r}: {names[key]}" for key in keys)
    return _function(f"lambda columns: [{{{made}}} for {', '.join(names.values())}, in zip(*columns, strict=True)]", {})


def sizes_of(fields: Sequence[FieldPlan]) -> Callable[[Sequence[dict[str, Any]]], list[int]] | None:
    """The function that counts the characters in the texts of these fields, for each object; None if none has texts.

    The function raises TypeError where an item of a list is null.
    """
    lengths = []
    for field in fields:
        item = field.completion.item
        if field.completion.unchanged is str:
            lengths.append(f"len(made[{field.key!r}] or '')")
        elif item is not None and item.unchanged is str:
            # joining texts takes a third of the time of adding their lengths
            lengths.append(f"len(''.join(made[{field.key!r}] or ()))")
    return _function(f"lambda objects: [{' + '.join(lengths)} for made in objects]", {}) if lengths else None


def reader_of(expression: str) -> Reader:
    """The function that evaluates the expression for every source."""
    return _function(f"lambda sources: [{expression} for source in sources]", {})


def _function(code: str, names: dict[str, Any]) -> Callable[..., Any]:
    function: Callable[..., Any] = eval(compile(code, "<plan>", "eval"), names)  # noqa: S307
    return function


def _expression(field: FieldPlan, index: int, names: dict[str, Any]) -> str:
    """The Python expression of one field's value. The functions that it calls are put into `names`."""
    if field.constant is not None:
        return repr(field.constant)
    if not is_inline(field):
        return f"given_{index}"
    declared, inline = field.declaration, field.completion.inline
    assert isinstance(declared, Plain)
    assert inline is not None
    own = {name: f"{name}_{index}" for name in inline.names}
    names.update({own[name]: value for name, value in inline.names.items()})
    return inline.code.format(value=declared.expression, **own)
