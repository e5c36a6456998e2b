"""PostgreSQL and a MongoDB-protocol server of our own, for development and tests."""
