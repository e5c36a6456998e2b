"""Who changed what: the log of PostgreSQL's triggers and the versions of designs, as one list."""
