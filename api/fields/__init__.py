"""Declared fields: how they are declared, resolved and loaded, which columns they need, and what they cost."""
