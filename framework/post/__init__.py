"""Post-processors: selection among decoded candidates."""
