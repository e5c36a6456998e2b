"""The application over HTTP: routes, requests, responses, the endpoint of GraphQL, the explorer, metrics."""
