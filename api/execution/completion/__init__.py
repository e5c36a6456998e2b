"""From resolved values to response values, a whole level at a time (CompleteValue in the specification).

Lists are completed as one long list of their items, objects become the sources of the next level.
"""
