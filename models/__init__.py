"""PostgreSQL: tables and the repository over them. Knows nothing of GraphQL."""

from models.audit_log import AuditEntry
from models.avatar import Avatar
from models.base import SCHEMAS, Base, new_id
from models.catalog_item import CatalogItem
from models.idempotency import IdempotencyKey
from models.operation import Operation
from models.repository import PostgresRepository
from models.search import DesignWords, ItemWords, Spelling
from models.search_feed import SearchFeed
from models.session import RefreshToken, Session
from models.trusted_document import TrustedDocument
from models.user import User

__all__ = [
    "SCHEMAS",
    "AuditEntry",
    "Avatar",
    "Base",
    "CatalogItem",
    "DesignWords",
    "IdempotencyKey",
    "ItemWords",
    "Operation",
    "PostgresRepository",
    "RefreshToken",
    "SearchFeed",
    "Session",
    "Spelling",
    "TrustedDocument",
    "User",
    "new_id",
]
