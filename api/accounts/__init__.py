"""Who is asking: tokens, sessions, passwords, attempts at signing in."""
