"""A GraphQL executor that compiles operations into plans. See README.md beside this file."""

from api.execution.declarations import Batch, Declaration, Declarations, Loading, Plain
from api.execution.executor import Executor

__all__ = ["Batch", "Declaration", "Declarations", "Executor", "Loading", "Plain"]
