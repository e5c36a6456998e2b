"""Declared fields: what they mean, which columns they need, what loads them."""
