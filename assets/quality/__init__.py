"""Findings, expectations and the report each site gets."""
