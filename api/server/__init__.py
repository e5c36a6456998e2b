"""The processes that serve: uvicorn, its workers, draining."""
