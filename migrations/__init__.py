"""Alembic: the revisions of PostgreSQL, and the runner that brings both stores up to date."""
