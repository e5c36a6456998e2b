"""The two stores: clients and pools, circuit breakers, row-level security, views of what is stored."""
