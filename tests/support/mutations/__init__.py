"""Mutations as clients send them, and what comes of them."""
