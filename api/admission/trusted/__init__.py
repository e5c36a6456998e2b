"""Trusted documents: those that clients ask for by identifier, and what is let through besides."""
