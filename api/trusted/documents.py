"""From what a request says of its document to the text that is run, or a refusal.

A request names its document by `documentId` (the appendix *Persisted Documents* of GraphQL over HTTP), by the hash
of Apollo's automatic persisted queries (`extensions.persistedQuery`), or brings it as `query`. TRUSTED_DOCUMENTS says
what may run: in the modes `off` and `log` everything, in `enforce` what the operator has registered, however the
request names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from api.config import Settings
from api.errors import AppError, BadUserInput, StoreUnavailable, as_app_error
from api.log import logger
from api.stores import Stores
from api.trusted.clients import ClientDocuments
from api.trusted.identifiers import identifier_of, normalised
from api.trusted.register import Register

_REPORTED: Final = 10_000
"""Documents that the mode `log` names, each once."""
_OPERATION: Final = re.compile(r"\b(?:query|mutation|subscription)\s+(\w{1,100})")


class DocumentError(AppError):
    """Nothing that may run; `status` is HTTP's word for it, `legacy_status` where the answer is `application/json`."""

    status: ClassVar[int]
    legacy_status: ClassVar[int | None] = None


class BadDocument(DocumentError):
    """A request that doesn't say properly what to run."""

    code = BadUserInput.code
    status = 400


class DocumentNotFound(DocumentError):
    """Apollo's clients know the error by code or by message, and then send the text with the hash."""

    code = "PERSISTED_QUERY_NOT_FOUND"
    status = 404
    legacy_status = 200  # as Apollo Server answers

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class NotSupported(DocumentError):
    """No hashes of clients are kept. Apollo's clients then send texts without hashes."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    status = 400
    legacy_status = 200

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")


class NotTrusted(DocumentError):
    """Only registered documents run."""

    code = "DOCUMENT_NOT_TRUSTED"
    status = 403

    def __init__(self) -> None:
        super().__init__("Only registered documents are run here, and this is none of them.")


class Documents:
    """Finds the text that a request wants to be run."""

    def __init__(self, settings: Settings) -> None:
        self._mode = settings.trusted_documents
        self._keeps = settings.client_documents_size > 0
        self._clients = ClientDocuments(settings.client_documents_size)
        self._register = Register()
        self._reported: set[str] = set()

    async def text(
        self, query: str | None, document_id: Any, extensions: Mapping[str, Any] | None, stores: Stores
    ) -> str:
        """The text to run. Raises DocumentError, or StoreUnavailable where the register doesn't answer."""
        if document_id is not None:
            return await self._by_id(document_id, query, stores)
        if extensions and extensions.get("persistedQuery") is not None:
            return await self._by_hash(extensions["persistedQuery"], query, stores)
        if query is None:
            raise BadDocument("query must be a text with a GraphQL document.")
        if self._mode != "off":
            await self._admit(identifier_of(query), query, stores)
        return query

    async def _by_id(self, document_id: Any, query: str | None, stores: Stores) -> str:
        if query is not None:
            raise BadDocument("Send documentId or query, not both.")
        if not isinstance(document_id, str):
            raise BadDocument("documentId must be a text.")
        document = await self._registered(_normalised(document_id), stores)
        if document is None:
            raise DocumentNotFound
        return document

    async def _by_hash(self, persisted: Any, query: str | None, stores: Stores) -> str:
        if not isinstance(persisted, dict) or persisted.get("version") != 1:
            raise BadDocument("persistedQuery must be an object of version 1.")
        given = persisted.get("sha256Hash")
        if not isinstance(given, str):
            raise BadDocument("persistedQuery must have a sha256Hash.")
        identifier = _normalised(given)
        if query is not None:
            if identifier_of(query) != identifier:
                raise BadDocument("sha256Hash is not the hash of query.")
            if self._mode != "off":
                await self._admit(identifier, query, stores)
            if self._mode != "enforce":
                self._clients.keep(identifier, query)
            return query
        # a client's own first: asking for it costs no statement
        kept = self._clients.find(identifier)
        if kept is not None:
            if self._mode == "log":
                await self._admit(identifier, kept, stores)
            return kept
        document = await self._registered(identifier, stores)
        if document is None:
            raise DocumentNotFound if self._keeps or self._mode == "enforce" else NotSupported
        return document

    async def _admit(self, identifier: str, document: str, stores: Stores) -> None:
        """Raise NotTrusted for what isn't registered, or only log it in the mode `log`."""
        if self._mode == "enforce":
            if await self._registered(identifier, stores) is None:
                raise NotTrusted
        elif identifier not in self._reported and len(self._reported) < _REPORTED:
            try:
                trusted = await self._registered(identifier, stores) is not None
            except StoreUnavailable:
                return  # what needs only the other store goes on; it is looked up again with the next request
            if not trusted and identifier not in self._reported:
                self._reported.add(identifier)
                names = ", ".join(_OPERATION.findall(document)[:10])
                logger.warning("untrusted document", identifier=identifier, operations=names)

    async def _registered(self, identifier: str, stores: Stores) -> str | None:
        try:
            return await self._register.document(identifier, stores)
        except Exception as error:
            known = as_app_error(error)
            if known is None:
                raise
            raise known from error


def _normalised(identifier: str) -> str:
    try:
        return normalised(identifier)
    except BadUserInput as error:
        raise BadDocument(error.message) from None
