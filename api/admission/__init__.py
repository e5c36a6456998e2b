"""Limits: a request that asks for too much is refused with the code TOO_COMPLEX, before the work is done.

A document is parsed up to `max_tokens`, measured in one pass (`structure`), validated, and priced (`price`). The
results are kept with it (`document_cache`), so that a known document costs only a few comparisons a request.
"""
