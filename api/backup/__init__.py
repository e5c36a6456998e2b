"""Backups of both stores, and restoring them into empty ones."""
