"""That the compiled executor answers as graphql-core does."""
