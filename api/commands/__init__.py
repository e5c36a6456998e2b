"""What a person types: `fashion-wallet`, a module a command group."""
