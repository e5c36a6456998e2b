"""Colours: their names and families, and how far apart two of them look."""
