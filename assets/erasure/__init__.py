"""Erasing a person: the log, and all that was derived from it."""
