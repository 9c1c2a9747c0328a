"""The contracts: data structures, the four interfaces, spaces and noise."""
