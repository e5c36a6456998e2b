"""MongoDB: documents and the repository over them. Knows nothing of GraphQL."""

from documents.base import Stored, truncate, utc_now
from documents.design import CanvasSize, Design, Layer, Metadata, Position, Scale, item_ids
from documents.repository import MongoRepository, TransactionsUnsupported

__all__ = [
    "CanvasSize",
    "Design",
    "Layer",
    "Metadata",
    "MongoRepository",
    "Position",
    "Scale",
    "Stored",
    "TransactionsUnsupported",
    "item_ids",
    "truncate",
    "utc_now",
]
