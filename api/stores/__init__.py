"""The two stores: connections, circuit breakers, what is read."""
