"""What a server counts, for Prometheus: cells of memory that all of its processes share."""
