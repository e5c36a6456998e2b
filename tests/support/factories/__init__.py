"""Rows and documents for tests: plain functions with sensible defaults, a file a domain."""
