"""Demo data: people, avatars, a catalog and designs to explore the API with. For development only."""
