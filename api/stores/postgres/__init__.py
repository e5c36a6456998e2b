"""PostgreSQL: connections, the pool, row-level security, distributed tables."""
