"""MongoDB: the client, reads by the shortest way, and reads from members near by."""
