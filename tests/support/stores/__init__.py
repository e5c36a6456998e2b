"""Databases of a test's own, and what is in them."""
