"""Methods and datasets, each a plugin of the framework."""
