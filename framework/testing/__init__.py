"""Strategies, the laws and a tiny dataset, for our parts and for others'."""
