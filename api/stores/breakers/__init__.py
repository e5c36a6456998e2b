"""Circuit breakers, one for each store, and those who wait for its connections."""
