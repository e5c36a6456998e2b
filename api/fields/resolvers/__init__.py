"""Batch resolvers, by which declared fields are resolved: values for all objects of a level at once, one statement a
batch."""
