"""Arguments of the awkward schema: every kind of input, and a field that says what arrived."""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDefaultInput,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLString,
)
from graphql.pyutils import Undefined


class Colours:
    """A colour as the code has it; its repr has no address."""

    def __init__(self, hue: int) -> None:
        self.hue = hue

    def __repr__(self) -> str:
        return f"<hue {self.hue}>"


RED: Final = Colours(0)
COLOUR: Final = GraphQLEnumType("Colour", {"RED": RED, "GREEN": 120, "BLUE": "blue"})


def odd_out(value: Any) -> Any:
    """Refuses even numbers, and gives null, nothing, or something that is no scalar for some others."""
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no number")
    if value % 2 == 0:
        raise GraphQLError(f"{value} is even", extensions={"code": "EVEN"})
    return {1: 1, 3: None, 5: Undefined, 7: {"b": [7], "a": 7.0}, 9: [9]}.get(value, value)


def odd_in(value: Any) -> int:
    """Refuses what isn't an odd number."""
    if isinstance(value, int) and value % 2:
        return value
    raise GraphQLError(f"{value!r} is not odd")


ODD: Final = GraphQLScalarType("Odd", coerce_output_value=odd_out, coerce_input_value=odd_in)

CHOICE: GraphQLInputObjectType = GraphQLInputObjectType(
    "Choice",
    lambda: {
        "number": GraphQLInputField(GraphQLInt),
        "text": GraphQLInputField(GraphQLString),
        "choice": GraphQLInputField(CHOICE),
    },
    is_one_of=True,
)


class Order_(dict[str, Any]):
    """What the input `Order` becomes."""

    def __repr__(self) -> str:
        return f"Order({dict(self)!r})"


def order_of(value: dict[str, Any]) -> Order_:
    """Refuses orders of a hundred while the arguments are coerced, which validation can't know."""
    if value.get("pieces") == 100:
        raise GraphQLError("Nobody has a hundred")
    return Order_(value)


ORDER: GraphQLInputObjectType = GraphQLInputObjectType(
    "Order",
    lambda: {
        "pieces": GraphQLInputField(GraphQLInt, default=GraphQLDefaultInput(1)),
        "title": GraphQLInputField(GraphQLNonNull(GraphQLString), out_name="name"),
        "colour": GraphQLInputField(COLOUR, default=GraphQLDefaultInput("RED")),
        "required": GraphQLInputField(GraphQLNonNull(GraphQLInt), default=GraphQLDefaultInput(4)),
        "tags": GraphQLInputField(GraphQLList(GraphQLNonNull(GraphQLString))),
        "choice": GraphQLInputField(CHOICE),
        "odd": GraphQLInputField(ODD),
        "order": GraphQLInputField(ORDER, out_name="part"),
        "orders": GraphQLInputField(GraphQLList(ORDER)),
    },
    out_type=order_of,
)

ARGUMENTS: Final = {
    "int": GraphQLArgument(GraphQLInt),
    "float": GraphQLArgument(GraphQLFloat, default=GraphQLDefaultInput(0.5)),
    "text": GraphQLArgument(GraphQLString, default=GraphQLDefaultInput("a\ntext")),
    "id": GraphQLArgument(GraphQLID, default=GraphQLDefaultInput(None), out_name="of_id"),
    "flag": GraphQLArgument(GraphQLNonNull(GraphQLBoolean), default=GraphQLDefaultInput(True)),
    "colour": GraphQLArgument(COLOUR),
    "colours": GraphQLArgument(GraphQLList(GraphQLNonNull(COLOUR)), default=GraphQLDefaultInput(["BLUE"])),
    "odd": GraphQLArgument(ODD),
    "order": GraphQLArgument(ORDER, default=GraphQLDefaultInput({"title": "default", "colour": "GREEN"})),
    "orders": GraphQLArgument(GraphQLList(GraphQLNonNull(ORDER))),
    "choice": GraphQLArgument(CHOICE),
    "matrix": GraphQLArgument(GraphQLList(GraphQLList(GraphQLInt)), out_name="grid"),
    "legacy": GraphQLArgument(GraphQLInt, default_value=12),
}


def say(_source: Any, _info: GraphQLResolveInfo[Any], **arguments: Any) -> str:
    """What arrived: which arguments, in which order, as which values."""
    return repr(arguments)


def argument_fields() -> dict[str, GraphQLField]:
    """Fields that say what arrived; the second can't do without some of it."""
    return {
        "say": GraphQLField(GraphQLString, ARGUMENTS, resolve=say),
        "sayRequired": GraphQLField(
            GraphQLNonNull(GraphQLString),
            {
                "number": GraphQLArgument(GraphQLNonNull(GraphQLInt)),
                "order": GraphQLArgument(ORDER),
                "numbers": GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLInt))),
            },
            resolve=say,
        ),
    }
