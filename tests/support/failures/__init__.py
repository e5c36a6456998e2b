"""Stores, networks and processes that fail when a test says so."""
