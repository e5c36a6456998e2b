"""Traces, by OpenTelemetry: spans of requests, of loaders' batches, and of statements and commands."""
