"""Queries that are equal and come together are executed once: one operation, the same variables, the same viewer.

They go together as reads do (`api.stores.coalescing`): a query only joins one that has sent nothing yet, so whoever
asks after a write was acknowledged sees it. Each is admitted, charged, answered and logged by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from graphql import DocumentNode, ExecutionResult

from api.execution import SizeBudget, TooLarge
from api.execution.turns import is_large

if TYPE_CHECKING:
    from api.fields.context import Context

Execute = Callable[[SizeBudget], Awaitable[ExecutionResult]]
"""Executes a query, whose answer must fit into the budget. Raises TooLarge."""


@dataclass(slots=True)
class Outcome:
    """What executing a query has given. Nobody may change it: others may have the same.

    There is no `result` where it got too large. `size` is what was counted of it, and `surcharge` what lists cost
    beyond their fields. `json` is the data as it is sent, once somebody has written it.
    """

    result: ExecutionResult | None
    size: int
    surcharge: int
    json: bytes | None = None


async def execute_together(
    context: Context, document: DocumentNode, name: str | None, variables: dict[str, Any], execute: Execute
) -> ExecutionResult:
    """What `execute` gives, or gives to an equal query. Raises TooLarge where the answer doesn't fit."""
    answers, budget = context.stores.answers, context.size_budget
    if answers is None or budget is None or not context.only_reads or context.of_batch or is_large(variables.values()):
        return await execute(budget or SizeBudget())
    equal = (id(document), name, context.viewer, _exactly(variables), context.stores.place)
    outcome: Outcome
    (outcome,) = await answers.read(equal, _ONE, partial(_outcome, context, execute))
    budget.take(outcome.size)
    assert outcome.result is not None, "it would have had to fit"
    context.surcharge, context.outcome = outcome.surcharge, outcome
    return outcome.result


_ONE = (None,)


def _exactly(variables: dict[str, Any]) -> Hashable:
    """These variables, and no others that Python holds for equal, such as 1 and true."""
    return orjson.dumps(variables) if variables else None


async def _outcome(context: Context, execute: Execute, keys: Sequence[None]) -> Sequence[Outcome]:
    budget = SizeBudget(context.settings.max_response_size)
    try:
        result = await execute(budget)
    except TooLarge as large:
        return [Outcome(None, large.size, context.surcharge)]
    return [Outcome(result, budget.size - budget.left, context.surcharge)]
