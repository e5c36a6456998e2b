"""Replicas of PostgreSQL, and what a query that may read from one must see."""
