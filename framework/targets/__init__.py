"""Geometries that several targets share."""

from framework.targets.map_pyramid import MapPyramid, map_rows

__all__ = ["MapPyramid", "map_rows"]
