"""Geometries that several targets share."""
