"""Mutations that run once: the header `Idempotency-Key`."""
