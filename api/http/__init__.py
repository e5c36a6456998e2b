"""HTTP: the ASGI application, requests, responses, the GraphQL endpoint, health, metrics, the explorer, pictures."""
