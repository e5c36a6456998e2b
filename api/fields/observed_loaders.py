"""Loaders of operations that are observed: they say which fields ask for each batch, and when it begins and ends."""

from __future__ import annotations

from collections.abc import Sequence

from api.fields.loaders import Fetch, K, Loader, V, _Batch
from api.stores.calls import Asker, Calls, asking, field_that_asks, loading, together


class NamedLoader(Loader[K, V]):
    """A loader whose batches say which it is, for whoever finds them slow."""

    def __init__(self, fetch: Fetch[K, V], name: str) -> None:
        super().__init__(fetch)
        self._name = name

    async def _run(self, batch: _Batch[K, V]) -> None:
        loading.set(self._name)  # in the batch's own task
        await super()._run(batch)


class ObservedLoader(Loader[K, V]):
    """A loader with a name, whose batches are part of what `parent` asks for."""

    def __init__(self, fetch: Fetch[K, V], name: str, parent: Asker, calls: Calls) -> None:
        super().__init__(self._told)
        self._source, self._name, self._parent, self._calls = fetch, name, parent, calls
        self._fields: dict[_Batch[K, V], dict[str, None]] = {}

    def _join(self, keys: Sequence[K], columns: frozenset[str]) -> _Batch[K, V]:
        batch = super()._join(keys, columns)
        fields = self._fields.setdefault(batch, {})
        if (field := field_that_asks()) is not None:
            fields[field] = None
        return batch

    async def _run(self, batch: _Batch[K, V]) -> None:
        parent, fields = self._parent, tuple(self._fields.pop(batch, ()))
        asker = Asker(
            parent.request_id, parent.operation, parent.kind, parent, self._name, fields, len(batch.keys), batch.columns
        )
        asking.set((asker,))  # in the batch's own task
        together.set((None, 1))
        await super()._run(batch)

    async def _told(self, keys: Sequence[K], columns: frozenset[str]) -> Sequence[V]:
        (asker,) = asking.get()
        self._calls.tell(lambda observer: observer.began(asker))
        error: BaseException | None = None
        try:
            return await self._source(keys, columns)
        except BaseException as failure:
            error = failure
            raise
        finally:
            self._calls.tell(lambda observer: observer.ended(asker, error))
