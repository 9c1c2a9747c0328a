"""Network blocks that two or more denoisers share."""
