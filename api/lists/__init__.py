"""Lists: conditions, filters, pages, keyset."""
