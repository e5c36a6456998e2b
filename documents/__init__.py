"""MongoDB: documents and the repository over them. Knows nothing of GraphQL."""

from documents.design import Design, Layer, Metadata, Position, Scale

__all__ = ["Design", "Layer", "Metadata", "Position", "Scale"]
