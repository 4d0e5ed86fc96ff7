"""From the log to a published DuckDB file of marts."""
