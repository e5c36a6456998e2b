"""A request that is being answered, as all who have part in that know it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.config.settings import Settings
from api.execution import SizeBudget
from api.execution.operation import Operation
from api.fields.context import Context
from api.fields.explanation import Explanation
from api.http.request import Incoming
from api.rates.meter import Meter
from api.rights.viewer import ANONYMOUS, Viewer
from api.stores.calls import Asker
from api.stores.replicas.position import NOWHERE, Position
from api.stores.stores import Stores

if TYPE_CHECKING:
    from opentelemetry.trace import Span


@dataclass(slots=True)
class Exchange:
    """A request that is being answered, with what is known of it so far.

    `operation` is the name of the executed operation, if it has one, and `spent` the points that all of them have cost.
    `headers` are sent with the response, which must fit into the `size_budget`. `is_admitted` says that the request has
    been read and its sender is known, so that what is wrong from then on is told in a stream of events, where one was
    asked for. `seen` is what its queries must see, and `written` what its mutations have. `asker` is there where calls
    are observed, and `explanation` where one is asked for. `trace_id` is that of the trace that it is part of, ours
    or somebody else's, and `span` its span where there are traces; `is_sampled` says that the trace is kept. `socket`
    is the id of the WebSocket that it came over.
    """

    settings: Settings
    request: Incoming
    request_id: str
    media_type: str | None
    stores: Stores
    asked: Operation | list[Operation] | None = None
    viewer: Viewer = ANONYMOUS
    address: str | None = None
    socket: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    operation: str | None = None
    meter: Meter | None = None
    is_admitted: bool = False
    seen: Position = NOWHERE
    written: Position = NOWHERE
    asker: Asker | None = None
    explanation: Explanation | None = None
    trace_id: str | None = None
    is_sampled: bool = False
    span: Span | None = None
    spent: int = 0
    executing: Context | None = None
    size_budget: SizeBudget = field(init=False)

    @property
    def named(self) -> str | None:
        """The name of the operation that is or was executed; None where it has none, or there are several."""
        return self.executing.operation_name if self.executing is not None else self.operation

    def __post_init__(self) -> None:
        self.size_budget = SizeBudget(self.settings.max_response_size)
