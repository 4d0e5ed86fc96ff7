"""Append-only log of commits and content-addressed Parquet segments."""
