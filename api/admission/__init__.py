"""What a request may ask for: refused with the code TOO_COMPLEX before the work is done that a limit bounds.

A document is parsed up to `max_tokens`, measured in one pass (`structure`), validated, and priced (`cost`, `price`);
all of that is kept with it (`documents`), so that a document which is known costs a few comparisons a request.
"""
