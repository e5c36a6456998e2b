"""A GraphQL executor that compiles operations into plans. See README.md beside this file."""

from api.execution.declarations import (
    Batch,
    Converted,
    Declaration,
    Declarations,
    Loading,
    Plain,
    TextWeight,
)
from api.execution.executor import Executor
from api.execution.sizes import SizeBudget, TooLarge

__all__ = [
    "Batch",
    "Converted",
    "Declaration",
    "Declarations",
    "Executor",
    "Loading",
    "Plain",
    "SizeBudget",
    "TextWeight",
    "TooLarge",
]
