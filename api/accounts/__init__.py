"""Authentication: tokens, sessions, passwords, and limits on signing in."""
