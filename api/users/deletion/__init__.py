"""Deleting users with what is theirs, and bringing them back."""
