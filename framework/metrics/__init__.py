"""Scoring rules of the field: pure functions, each named."""
