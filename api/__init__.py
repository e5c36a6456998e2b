"""The GraphQL API of Fashion Wallet."""
