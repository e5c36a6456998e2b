"""What a process holds, and what happens beyond: `python -m tests.load`, with locust (the dependency group `load`)."""
