"""Subscriptions that are open: their events, how fast they go to each client, and streams of them over HTTP."""
