"""Annotations, features, text, batches and row policies."""
