"""Live updates: what changes in the stores, in its order, for whoever follows it. Rights and types are above."""
