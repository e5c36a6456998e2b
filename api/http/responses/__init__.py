"""What is answered: status, headers, errors without anything internal, and the bytes of a body."""
