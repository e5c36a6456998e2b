"""What is told of a request: its line in the log, its counts, its trace, and an explanation to whoever asks for one."""
