"""Limits of GraphQL documents, variables and operations."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class LimitSettings(BaseSettings):
    """What a document, its variables and an operation may have at most."""

    max_document_length: int = Field(50_000, ge=1, description="Characters of a GraphQL document")
    max_tokens: int = Field(2000, ge=1, description="Words and signs of a GraphQL document")
    max_depth: int = Field(15, ge=1, description="How deep fields may nest; introspection takes 15")
    max_root_fields: int = Field(20, ge=1, description="Root fields of an operation")
    max_aliases: int = Field(50, ge=0, description="Aliases of an operation, counted wherever fragments are spread")
    max_fields: int = Field(1000, ge=1, description="Fields of an operation, counted likewise")
    max_cost: int = Field(5000, ge=1, description="What an operation may cost: about the objects that it returns")
    max_list_items: int = Field(1000, ge=1, description="Items of a list in variables or arguments")
    max_input_objects: int = Field(1200, ge=1, description="Input objects in the variables")
    max_variable_values: int = Field(10_000, ge=1, description="Values in the variables, objects and lists included")
    report_cost: bool = Field(True, description="Say in `extensions` of each response what it cost and has sent")
    execution_timeout: float = Field(30.0, gt=0, description="Longest an operation may take; then it is ended")
    document_cache_size: int = Field(64 * 1024 * 1024, ge=0, description="Bytes that parsed documents take, a process")
