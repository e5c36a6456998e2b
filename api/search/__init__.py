"""Finding: what people type into a search box, over both stores at once."""
