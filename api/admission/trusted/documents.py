"""From what a request says of its document to the text that is run, or a refusal.

A request names its document by `documentId` (the appendix *Persisted Documents* of GraphQL over HTTP), by the hash
of Apollo's automatic persisted queries (`extensions.persistedQuery`), or brings it as `query`. TRUSTED_DOCUMENTS says
what may run: in the modes `off` and `log` everything, in `enforce` what the operator has registered, however the
request names it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from api.admission.trusted.clients import ClientDocuments
from api.admission.trusted.identifiers import identifier_of, is_hash, normalised
from api.admission.trusted.register import Register
from api.config.settings import Settings
from api.error_codes import ErrorCode
from api.errors import AppError, BadRequest, StoreUnavailable, reported
from api.execution.operation import Operation
from api.log import logger
from api.stores.stores import Stores

_REPORTED: Final = 10_000
"""Documents that the mode `log` names, each once."""
_OPERATION: Final = re.compile(r"\b(?:query|mutation|subscription)\s+(\w{1,100})")


class DocumentNotFound(AppError):
    """No document is known by this identifier. Apollo's clients then send the text with the hash."""

    code = ErrorCode.PERSISTED_QUERY_NOT_FOUND

    def __init__(self, *, for_old_client: bool) -> None:
        super().__init__("PersistedQueryNotFound")
        self.status = 200 if for_old_client else 404  # 200 is what Apollo's servers answer to old clients


class NotSupported(AppError):
    """No hashes of clients are kept. Apollo's clients then send texts without hashes."""

    code = ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED

    def __init__(self, *, for_old_client: bool) -> None:
        super().__init__("PersistedQueryNotSupported")
        self.status = 200 if for_old_client else 400


class NotTrusted(AppError):
    """Only registered documents run."""

    code = ErrorCode.DOCUMENT_NOT_TRUSTED
    status = 403

    def __init__(self) -> None:
        super().__init__("Only registered documents are run here, and this is none of them.")


class Documents:
    """Finds the text that a request wants to be run, and admits it or not."""

    def __init__(self, settings: Settings) -> None:
        self._mode = settings.trusted_documents
        self._keeps = settings.client_documents_size > 0
        self._clients = ClientDocuments(settings.client_documents_size)
        self._register = Register()
        self._reported: set[str] = set()

    async def resolve(self, operation: Operation, stores: Stores, *, for_old_client: bool) -> Operation:
        """The operation with the text that it asks for.

        Raises BadRequest for one that asks for nothing properly, DocumentNotFound, NotSupported, NotTrusted, or
        StoreUnavailable where the register doesn't answer.
        """
        query = operation.query if operation.query.strip() else None
        if operation.document_id is not None:
            if query is not None:
                raise BadRequest("Send documentId or query, not both.")
            document = await self._registered(normalised(operation.document_id), stores)
            if document is None:
                raise DocumentNotFound(for_old_client=for_old_client)
            return replace(operation, query=document)
        if operation.extensions.get("persistedQuery") is not None:
            identifier = _hash_of(operation.extensions["persistedQuery"])
            if query is None:
                return replace(operation, query=await self._by_hash(identifier, stores, for_old_client=for_old_client))
            if identifier_of(query) != identifier:
                raise BadRequest("sha256Hash is not the hash of query.")
            await self._admit(identifier, query, stores)
            if self._mode != "enforce":
                self._clients.keep(identifier, query)
        elif query is None:
            raise BadRequest("query must be a text with a GraphQL document.")
        elif self._mode != "off":
            await self._admit(identifier_of(query), query, stores)
        return operation

    async def _by_hash(self, identifier: str, stores: Stores, *, for_old_client: bool) -> str:
        # a client's own first: asking for it costs no statement
        document = self._clients.find(identifier)
        if document is not None:
            await self._admit(identifier, document, stores)
            return document
        document = await self._registered(identifier, stores)
        if document is None:
            raise (
                DocumentNotFound(for_old_client=for_old_client)
                if self._keeps or self._mode == "enforce"
                else NotSupported(for_old_client=for_old_client)
            )
        return document

    async def _admit(self, identifier: str, document: str, stores: Stores) -> None:
        """Raise NotTrusted for what isn't registered, or only log it in the mode `log`."""
        if self._mode == "enforce":
            if await self._registered(identifier, stores) is None:
                raise NotTrusted
        elif self._mode == "log" and identifier not in self._reported and len(self._reported) < _REPORTED:
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
            if (known := reported(error)) is None:
                raise
            raise known from None


def _hash_of(persisted: Any) -> str:
    """The identifier in `extensions.persistedQuery`."""
    if not isinstance(persisted, dict) or persisted.get("version") != 1:
        raise BadRequest("persistedQuery must be an object of version 1.")
    given = persisted.get("sha256Hash")
    if not isinstance(given, str) or not is_hash(given):
        raise BadRequest("persistedQuery must have a sha256Hash of 64 hexadecimal digits.")
    return normalised(given)
